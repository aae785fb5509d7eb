#include "orchestrator/bench.h"
#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {

Result<StageOutcome> RunLeak(RunContext& context, v1::Candidate candidate, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto read, ReadProposal(context, candidate));
  const environments::Proposal& proposal = read->proposal;
  const v1::RepositoryEnvironment& environment = candidate.task().environment().repository();
  TASKMINT_ASSIGN_OR_RETURN(const verifier::GradingBench bench,
                            CandidateBench(context, candidate, proposal));
  std::vector<std::pair<std::string, FileTree>> layers;
  for (const v1::Layer& layer : environment.layers()) {
    TASKMINT_ASSIGN_OR_RETURN(FileTree tree, context.store.blobs().GetTree(layer.tree_digest()));
    layers.emplace_back(layer.mount_path(), std::move(tree));
  }
  const verifier::GateResult gate = verifier::LeakGate(bench, proposal, layers, stop);
  return PassGates(context.store.blobs(), std::move(candidate), {gate}, "select", stop);
}

}  // namespace taskmint::orchestrator
