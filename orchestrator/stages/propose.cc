#include <algorithm>
#include <filesystem>

#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"
#include "verifier/gate.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

// Paths at which two trees differ, sorted.
std::vector<std::string> ChangedPaths(const FileTree& from, const FileTree& to) {
  std::vector<std::string> paths;
  auto same = [](const FileEntry& a, const FileEntry& b) {
    return a.kind == b.kind && (a.content == b.content || *a.content == *b.content);
  };
  for (const auto& [path, entry] : from.files()) {
    const FileEntry* other = to.Find(path);
    if (other == nullptr || !same(entry, *other)) paths.push_back(path);
  }
  for (const auto& [path, entry] : to.files()) {
    if (!from.Contains(path)) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void FillTask(const RunContext& context, const environments::Proposal& proposal, v1::Task& task) {
  task.set_category(context.job.category());
  task.set_language(std::string(context.driver.language()));
  *task.mutable_prompt() = proposal.prompt;
  *task.mutable_licence() = proposal.licence;
  v1::Provenance& provenance = *task.mutable_provenance();
  provenance.set_source(context.source.name);
  provenance.set_commit_time_s(proposal.commit.author_time_s);
  provenance.mutable_issue_numbers()->Assign(proposal.issue_numbers.begin(),
                                             proposal.issue_numbers.end());
  provenance.set_pipeline(PipelineName());
  task.mutable_solution()->clear_paths();
  for (std::string& path : ChangedPaths(proposal.parent_tree, proposal.gold_tree)) {
    task.mutable_solution()->add_paths(std::move(path));
  }
}

// Ends a candidate before the lint gate, with that gate's evidence and a log all the same.
Result<StageOutcome> Refused(RunContext& context, v1::Candidate candidate,
                             const std::string& reason, const std::string& detail) {
  StageOutcome outcome;
  v1::Evidence evidence;
  evidence.set_gate("lint");
  evidence.set_outcome(v1::Evidence::OUTCOME_REJECTED);
  evidence.set_detail(reason == "lint" ? detail : reason + ": " + detail);
  TASKMINT_ASSIGN_OR_RETURN(outcome.log_digest,
                            context.store.blobs().Put(evidence.detail() + "\n"));
  evidence.set_log_digest(outcome.log_digest);
  AddEvidence(candidate, std::move(evidence));
  Reject(candidate, reason, detail);
  outcome.candidate = std::move(candidate);
  return outcome;
}

// Paths of this machine that no task may name.
std::vector<std::string> HostPaths(const RunContext& context) {
  std::vector<std::string> paths;
  for (const std::string& path : {context.source.repository_path, context.store.cache_folder()}) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (!error) paths.push_back(real.string());
  }
  return paths;
}

}  // namespace

Result<StageOutcome> RunPropose(RunContext& context, v1::Candidate candidate,
                                std::stop_token stop) {
  const auto read = ReadProposal(context, candidate);
  if (!read.ok() && read.status().boundary() == Boundary::kEnvironment) {
    // A missing object, a limit, a damaged tree: of this commit alone.
    return Refused(context, std::move(candidate), "lint", read.status().message());
  }
  TASKMINT_RETURN_IF_ERROR(read.status());
  const environments::ProposalOutcome& outcome = **read;
  FillTask(context, outcome.proposal, *candidate.mutable_task());
  if (!outcome.refusal.reason.empty()) {
    return Refused(context, std::move(candidate), outcome.refusal.reason, outcome.refusal.detail);
  }
  TASKMINT_ASSIGN_OR_RETURN(std::string patch,
                            context.store.blobs().Put(outcome.proposal.gold_patch));
  candidate.mutable_task()->mutable_solution()->set_patch_digest(std::move(patch));
  return PassGates(context.store.blobs(), std::move(candidate),
                   {verifier::LintGate(outcome.proposal, HostPaths(context))}, "build", stop);
}

}  // namespace taskmint::orchestrator
