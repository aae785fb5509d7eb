#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {

Pipeline CodePipeline(RunContext& context) {
  using Function = Result<StageOutcome> (*)(RunContext&, v1::Candidate, std::stop_token);
  auto stage = [&context](const char* name, Function run, std::vector<Boundary> proves) {
    auto bound = [&context, run](v1::Candidate candidate, std::stop_token stop) {
      return run(context, std::move(candidate), std::move(stop));
    };
    return Stage{name, bound, std::move(proves)};
  };
  constexpr Boundary kNetwork = Boundary::kEnvironment;
  constexpr Boundary kSandbox = Boundary::kSandbox;
  return {stage("propose", RunPropose, {}),
          stage("build", RunBuild, {kNetwork, kSandbox}),
          stage("oracle", RunOracle, {kSandbox}),
          stage("cheaters", RunCheaters, {kSandbox}),
          stage("mutation", RunMutation, {kSandbox}),
          stage("leak", RunLeak, {kSandbox}),
          stage("select", RunSelect, {})};
}

}  // namespace taskmint::orchestrator
