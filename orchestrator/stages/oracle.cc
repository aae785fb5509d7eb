#include "orchestrator/bench.h"
#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {

Result<StageOutcome> RunOracle(RunContext& context, v1::Candidate candidate, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto read, ReadProposal(context, candidate));
  const environments::Proposal& proposal = read->proposal;
  TASKMINT_ASSIGN_OR_RETURN(const verifier::GradingBench bench,
                            CandidateBench(context, candidate, proposal, stop));
  verifier::OracleResult result =
      verifier::OracleGates(bench, proposal, GateSettingsOf(context, candidate), stop);
  *candidate.mutable_task()->mutable_verifier()->mutable_tests() = std::move(result.expected);
  return PassGates(context.store.blobs(), std::move(candidate),
                   {result.oracle, result.repeat, result.null}, "cheaters", stop);
}

}  // namespace taskmint::orchestrator
