#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {

Pipeline CodePipeline(RunContext& context) {
  using Function = Result<StageOutcome> (*)(RunContext&, v1::Candidate, std::stop_token);
  auto stage = [&context](const char* name, Function run, bool uses_network = false) {
    auto bound = [&context, run](v1::Candidate candidate, std::stop_token stop) {
      return run(context, std::move(candidate), std::move(stop));
    };
    return Stage{name, bound, uses_network};
  };
  return {stage("propose", RunPropose),   stage("build", RunBuild, /*uses_network=*/true),
          stage("oracle", RunOracle),     stage("cheaters", RunCheaters),
          stage("mutation", RunMutation), stage("leak", RunLeak),
          stage("select", RunSelect)};
}

}  // namespace taskmint::orchestrator
