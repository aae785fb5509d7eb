#include <set>

#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {
namespace {

// The rows that a stage added say which walls its sandboxes lacked.
Result<StageOutcome> WithMissingWalls(const std::vector<std::string>& walls,
                                      const v1::Candidate& before, Result<StageOutcome> outcome) {
  if (!outcome.ok()) return outcome;
  std::set<std::string> known;
  for (const v1::Evidence& evidence : before.evidence()) known.insert(evidence.SerializeAsString());
  for (v1::Evidence& evidence : *outcome->candidate.mutable_evidence()) {
    if (known.contains(evidence.SerializeAsString())) continue;
    evidence.mutable_missing_walls()->Assign(walls.begin(), walls.end());
  }
  return outcome;
}

}  // namespace

Pipeline CodePipeline(RunContext& context) {
  using Function = Result<StageOutcome> (*)(RunContext&, v1::Candidate, std::stop_token);
  auto stage = [&context](const char* name, Function run, std::vector<Boundary> proves) {
    const bool has_sandboxes = !proves.empty();
    auto bound = [&context, run, has_sandboxes](v1::Candidate candidate, std::stop_token stop) {
      const std::vector<std::string> walls = context.sandboxes.MissingWalls();
      if (walls.empty() || !has_sandboxes)
        return run(context, std::move(candidate), std::move(stop));
      const v1::Candidate before = candidate;
      return WithMissingWalls(walls, before, run(context, std::move(candidate), std::move(stop)));
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
