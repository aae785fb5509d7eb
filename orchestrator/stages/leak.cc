#include "orchestrator/bench.h"
#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {

Result<StageOutcome> RunLeak(RunContext& context, v1::Candidate candidate, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto read, ReadProposal(context, candidate));
  const environments::Proposal& proposal = read->proposal;
  TASKMINT_ASSIGN_OR_RETURN(const verifier::GradingBench bench,
                            CandidateBench(context, candidate, proposal, stop));
  const verifier::GateResult gate = verifier::LeakGate(bench, proposal, stop);
  return PassGates(context.store.blobs(), std::move(candidate), {gate}, "select", stop);
}

}  // namespace taskmint::orchestrator
