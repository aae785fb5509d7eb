#include "environments/repository/code_tools.h"
#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"
#include "proto/base/record.h"

namespace taskmint::orchestrator {
namespace {

// Whether an undecided candidate of a lower position may yet be kept with the same patch: then this
// one must wait, so that which of the two is the duplicate does not depend on who was faster.
Result<bool> MustWait(RunContext& context, const v1::Candidate& candidate) {
  TASKMINT_ASSIGN_OR_RETURN(const auto states, context.store.CandidateStates(context.run_id));
  for (const auto& state : states) {
    if (state.position >= candidate.position()) break;
    if (state.state != v1::Candidate::STATE_PENDING) continue;
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate other,
                              context.store.GetCandidate(context.run_id, state.position));
    const std::string& patch = other.task().solution().patch_digest();
    if (patch.empty() || patch == candidate.task().solution().patch_digest()) return true;
  }
  return false;
}

// The same commit of the same source, which another request made a task of: this run keeps that
// task, so that a store has one of each commit and a repeated request has what it asks for.
StageOutcome KeptBefore(RunContext& context, v1::Candidate candidate, v1::Candidate other) {
  ++context.kept_before;
  *candidate.mutable_task() = std::move(*other.mutable_task());
  *candidate.mutable_evidence() = std::move(*other.mutable_evidence());
  candidate.set_state(v1::Candidate::STATE_KEPT);
  candidate.clear_reason();
  StageOutcome outcome;
  outcome.candidate = std::move(candidate);
  return outcome;
}

v1::Evidence UnmeasuredDifficulty() {
  v1::Evidence evidence;
  evidence.set_gate("difficulty");
  evidence.set_outcome(v1::Evidence::OUTCOME_UNMEASURED);
  evidence.set_detail("no solver was run");
  return evidence;
}

}  // namespace

Result<StageOutcome> RunSelect(RunContext& context, v1::Candidate candidate, std::stop_token stop) {
  StageOutcome outcome;
  TASKMINT_ASSIGN_OR_RETURN(outcome.wait, MustWait(context, candidate));
  if (outcome.wait) return outcome;

  TASKMINT_ASSIGN_OR_RETURN(const auto read, ReadProposal(context, candidate));
  const environments::Proposal& proposal = read->proposal;
  v1::Task& task = *candidate.mutable_task();
  // The trees themselves are stored below, for kept tasks alone.
  task.mutable_environment()->mutable_repository()->set_tree_digest(
      TreeDigest(proposal.parent_tree));
  task.mutable_verifier()->mutable_tests()->set_overlay_digest(TreeDigest(proposal.overlay));
  task.clear_tools();
  for (v1::Tool& tool : environments::CodeTools()) *task.add_tools() = std::move(tool);
  task.set_id(TaskId(task));
  TASKMINT_ASSIGN_OR_RETURN(const std::string duplicate, context.store.FindDuplicate(candidate));
  if (!duplicate.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(v1::Candidate other, context.store.FindById(duplicate));
    if (other.id() == candidate.id() && other.job_id() != candidate.job_id()) {
      return KeptBefore(context, std::move(candidate), std::move(other));
    }
    Reject(candidate, "duplicate", "same patch and tests as " + duplicate);
    task.mutable_environment()->mutable_repository()->clear_tree_digest();
    task.mutable_verifier()->mutable_tests()->clear_overlay_digest();
    outcome.candidate = std::move(candidate);
    return outcome;
  }

  datasets::BlobStore& blobs = context.store.blobs();
  TASKMINT_RETURN_IF_ERROR(blobs.PutTree(proposal.parent_tree).status());
  TASKMINT_RETURN_IF_ERROR(blobs.PutTree(proposal.overlay).status());
  if (stop.stop_requested()) {
    return Status(Code::kCancelled, Boundary::kNone, "stopped before the task was stored");
  }
  TASKMINT_RETURN_IF_ERROR(blobs.Sync());
  AddEvidence(candidate, UnmeasuredDifficulty());
  candidate.set_state(v1::Candidate::STATE_KEPT);
  candidate.clear_reason();
  outcome.candidate = std::move(candidate);
  return outcome;
}

}  // namespace taskmint::orchestrator
