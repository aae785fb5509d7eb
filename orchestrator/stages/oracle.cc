#include "orchestrator/bench.h"
#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {

Result<StageOutcome> RunOracle(RunContext& context, v1::Candidate candidate, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto read, ReadProposal(context, candidate));
  const environments::Proposal& proposal = read->proposal;
  TASKMINT_ASSIGN_OR_RETURN(const verifier::GradingBench bench,
                            CandidateBench(context, candidate, proposal));
  verifier::OracleResult result =
      verifier::OracleGates(bench, proposal, GateSettingsOf(context, candidate), stop);
  v1::TestVerifier& expected = *candidate.mutable_task()->mutable_verifier()->mutable_tests();
  expected = std::move(result.expected);
  expected.clear_removed_paths();
  for (const std::string& path : proposal.removed_paths) expected.add_removed_paths(path);
  return PassGates(context.store.blobs(), std::move(candidate),
                   {result.oracle, result.repeat, result.null}, "cheaters", stop);
}

}  // namespace taskmint::orchestrator
