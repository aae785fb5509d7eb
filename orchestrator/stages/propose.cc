#include <algorithm>

#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"
#include "verifier/gate.h"

namespace taskmint::orchestrator {
namespace {

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

}  // namespace

Result<StageOutcome> RunPropose(RunContext& context, v1::Candidate candidate,
                                std::stop_token stop) {
  const auto read = ReadProposal(context, candidate);
  if (!read.ok() && read.status().boundary() == Boundary::kEnvironment) {
    // A missing object, a limit, a damaged tree: of this commit alone.
    Reject(candidate, "lint", read.status().message());
    StageOutcome rejected;
    rejected.candidate = std::move(candidate);
    return rejected;
  }
  TASKMINT_RETURN_IF_ERROR(read.status());
  const environments::ProposalOutcome& outcome = **read;
  FillTask(context, outcome.proposal, *candidate.mutable_task());
  if (!outcome.refusal.reason.empty()) {
    Reject(candidate, outcome.refusal.reason, outcome.refusal.detail);
    StageOutcome rejected;
    rejected.candidate = std::move(candidate);
    return rejected;
  }
  TASKMINT_ASSIGN_OR_RETURN(std::string patch,
                            context.store.blobs().Put(outcome.proposal.gold_patch));
  candidate.mutable_task()->mutable_solution()->set_patch_digest(std::move(patch));
  return PassGates(context.store.blobs(), std::move(candidate),
                   {verifier::LintGate(outcome.proposal)}, "build", stop);
}

}  // namespace taskmint::orchestrator
