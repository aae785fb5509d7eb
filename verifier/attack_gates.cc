// The cheaters and mutation gates: solutions that must not pass.
#include <algorithm>
#include <optional>
#include <utility>

#include "proto/base/random.h"
#include "verifier/evidence.h"
#include "verifier/gate.h"

namespace taskmint::verifier {
namespace {

GradeResult GradeInto(EvidenceWriter& row, const GradingBench& bench,
                      const v1::TestVerifier& expected,
                      const environments::AlteredSolution& solution, Depth depth,
                      const GateSettings& settings, std::stop_token stop) {
  GradeOptions options{depth, settings.attack_wall_ms_max, settings.attack_first};
  if (options.wall_ms_max == 0) options.wall_ms_max = settings.test_wall_ms_max;
  GradeResult grade = Grade(bench, expected, solution.tree, std::move(stop), options);
  row.Count("runs", static_cast<double>(grade.runs));
  row.Count("sandboxes", static_cast<double>(grade.sandboxes));
  row.Count("judged_alone", grade.judged_alone ? 1 : 0);
  row.AddAttempt(solution.name, grade.verdict, std::move(grade.log));
  return grade;
}

constexpr int64_t kWallMsMaxLeast = 30'000;
constexpr int64_t kAnswerWallMsMaxLeast = 120'000;

}  // namespace

int64_t WallMsMaxBeside(int64_t fix_wall_ms, int64_t test_wall_ms_max) {
  return std::min(test_wall_ms_max, std::max(kWallMsMaxLeast, 10 * fix_wall_ms));
}

int64_t AttackWallMsMax(const v1::Evidence& oracle, int64_t test_wall_ms_max) {
  const auto found = oracle.values().find("graded_wall_ms");
  if (found == oracle.values().end()) return test_wall_ms_max;
  const auto slowest = static_cast<int64_t>(found->second);
  return WallMsMaxBeside(slowest, test_wall_ms_max);
}

int64_t AnswerWallMsMax(int64_t fix_wall_ms, int64_t test_wall_ms_max) {
  return std::min(test_wall_ms_max, std::max(kAnswerWallMsMaxLeast, 20 * fix_wall_ms));
}

GateResult CheatersGate(const GradingBench& bench, const v1::TestVerifier& expected,
                        const environments::Proposal& proposal, const GateSettings& settings,
                        std::stop_token stop) {
  EvidenceWriter row("cheaters");
  std::vector<std::string> ids;
  for (const auto* list :
       {&expected.fail_to_pass(), &expected.error_to_pass(), &expected.pass_to_pass()}) {
    ids.insert(ids.end(), list->begin(), list->end());
  }
  const environments::CheaterMaterial material{
      proposal.parent_tree,
      proposal.gold_tree,
      bench.overlay,
      std::move(ids),
      {expected.graded_files().begin(), expected.graded_files().end()}};
  const auto cheaters = bench.driver.Cheaters(material);
  if (cheaters.empty()) {
    return row.NoVerdict("the " + std::string(bench.driver.language()) +
                         " driver has no cheaters to try");
  }
  row.Count("forged", 0);
  row.Count("graded_as_nothing", 0);
  const FileTree nothing = GradedState(bench, proposal.parent_tree);
  std::optional<v1::Verdict> verdict_of_nothing;
  for (const auto& cheater : cheaters) {
    // Of planted files often nothing is left: one run of that state tells for all.
    const bool is_nothing = GradedState(bench, cheater.tree) == nothing;
    v1::Verdict verdict;
    if (is_nothing && verdict_of_nothing) {
      verdict = *verdict_of_nothing;
      row.AddAttempt(cheater.name, verdict, "");
      row.Count("graded_as_nothing");
    } else {
      verdict = GradeInto(row, bench, expected, cheater, Depth::kWithTwin, settings, stop).verdict;
    }
    row.Count("cheaters");
    if (verdict.state() == v1::Verdict::STATE_NO_VERDICT) {
      return row.NoVerdict("cheater " + cheater.name + ": " + verdict.reason());
    }
    if (verdict.score() > 0) return row.Reject(cheater.name + " scored 1");
    if (verdict.state() == v1::Verdict::STATE_FORGED) row.Count("forged");
    if (is_nothing && !verdict_of_nothing) {
      verdict_of_nothing = verdict;
      verdict_of_nothing->set_wall_ms(0);
      verdict_of_nothing->set_cpu_ms(0);
      verdict_of_nothing->set_reason("nothing of it is left when graded; doing nothing: " +
                                     verdict.reason());
    }
  }
  return row.Pass(CountOf(cheaters.size(), "cheater") + " scored 0");
}

GateResult MutationGate(const GradingBench& bench, const v1::TestVerifier& expected,
                        const environments::Proposal& proposal, const GateSettings& settings,
                        std::stop_token stop) {
  EvidenceWriter row("mutation");
  const uint64_t seed = Random(settings.seed, "mutants " + proposal.commit.sha).Next();
  auto mutants = bench.driver.Mutants(bench.sandboxes, proposal.parent_tree, proposal.gold_tree,
                                      seed, settings.mutants_max, stop);
  if (!mutants.ok())
    return row.NoVerdict("no mutants could be made: " + mutants.status().message());
  int64_t graded = 0;
  int64_t killed = 0;
  int64_t unbuilt = 0;
  row.Count("no_verdict", 0);
  std::vector<std::string> survivors;
  for (const auto& mutant : *mutants) {
    const GradeResult grade =
        GradeInto(row, bench, expected, mutant, Depth::kOneRun, settings, stop);
    const v1::Verdict& verdict = grade.verdict;
    if (verdict.state() == v1::Verdict::STATE_NO_VERDICT) {
      if (stop.stop_requested()) return row.NoVerdict("cancelled");
      row.Count("no_verdict");
      continue;
    }
    if (!grade.built) {  // it damages nothing that anybody could run
      row.Count("unbuilt");
      ++unbuilt;
      continue;
    }
    ++graded;
    if (verdict.score() > 0) {
      survivors.push_back(mutant.name);
    } else {
      ++killed;
    }
  }
  row.Count("mutants", static_cast<double>(graded));
  row.Count("killed", static_cast<double>(killed));
  const double score = graded == 0 ? 0 : static_cast<double>(killed) / static_cast<double>(graded);
  if (graded > 0) row.Count("mutation_score", score);
  std::string detail = std::to_string(killed) + " of " +
                       CountOf(static_cast<size_t>(graded), "mutant") + " scored 0";
  if (!survivors.empty()) detail += "; survived: " + NameSome(survivors);
  if (unbuilt > 0) detail += "; " + std::to_string(unbuilt) + " more did not compile";
  if (graded < settings.mutants_min) {
    // Too few because the machine failed is not the same as too few to be had.
    if (static_cast<int64_t>(mutants->size()) - unbuilt >= settings.mutants_min) {
      return row.NoVerdict("too few mutants could be graded: " + detail);
    }
    return row.Finish(v1::Evidence::OUTCOME_UNMEASURED, detail);
  }
  return score < settings.mutation_score_min ? row.Reject(detail) : row.Pass(detail);
}

}  // namespace taskmint::verifier
