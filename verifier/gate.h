// The gate: what every code task must survive. Each function gives the evidence of its gates; the
// orchestrator stores it and goes on only while nothing is rejected.
#ifndef TASKMINT_VERIFIER_GATE_H_
#define TASKMINT_VERIFIER_GATE_H_

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "environments/repository/candidate.h"
#include "proto/base/file_tree.h"
#include "proto/evidence.pb.h"
#include "proto/task.pb.h"
#include "verifier/grading.h"

namespace taskmint::verifier {

// Logs of the attempts in an evidence, by attempt name; the caller stores them and fills in
// Attempt.log_digest.
using AttemptLogs = std::map<std::string, std::string>;

// Every evidence has the values `runs` and `sandboxes` where something was run. Verdicts of
// attempts name no tests: the expected ids stand in the task, the rest in the logs.
struct GateResult {
  v1::Evidence evidence;
  AttemptLogs logs;
};

struct GateSettings {
  // Share of mutants that must score 0 (architecture: code 0.5).
  double mutation_score_min = 0.5;
  // Fewer mutants than this: unmeasured.
  int64_t mutants_min = 3;
  int64_t mutants_max = 12;
  uint64_t seed = 0;
  // Run the whole suite instead of the graded files (--grade-scope full).
  bool grade_full_suite = false;
  int64_t test_wall_ms_max = 600'000;
  // For one run of a cheater or a mutant: see AttackWallMsMax. 0: test_wall_ms_max.
  int64_t attack_wall_ms_max = 0;
  // What of a cheater or a mutant runs first: the targets alone, where the oracle's value
  // `targets_alone` is 1.
  First attack_first = First::kTargetFiles;
};

// How long a run beside one of the fix that took `fix_wall_ms` may take, in milliseconds: ten times
// as long, at least half a minute, and never more than `test_wall_ms_max`. What takes longer hangs.
int64_t WallMsMaxBeside(int64_t fix_wall_ms, int64_t test_wall_ms_max);

// The same of a damaged or cheating solution, beside the slowest graded run of the fix (the
// oracle's value `graded_wall_ms`). To hang is a fail.
int64_t AttackWallMsMax(const v1::Evidence& oracle, int64_t test_wall_ms_max);

// The same of an answer that may be right, on a machine that may be slower or busier than the one
// that minted the task: twenty times as long as the slowest graded run of the fix, at least two
// minutes.
int64_t AnswerWallMsMax(int64_t fix_wall_ms, int64_t test_wall_ms_max);

// Schema, limits, secrets, host paths, licence and provenance of what is known before anything
// runs. Rejects with what is wrong. Looked at are the prompt, what the patch adds, and the
// overlay's files that the fix added or changed: the rest of the repository was public before.
// `host_paths` are this machine's (the source, the store); the user's home is always one.
GateResult LintGate(const environments::Proposal& proposal,
                    const std::vector<std::string>& host_paths = {});

// Runs the tests before and after the fix: graded files once before, and three times after (the
// third shuffled), then the whole suite before and after. One session before and one after, in
// which the targets run alone, too; one for the twin, one for the empty answer. What runs before
// may take WallMsMaxBeside what ran after: a test that hangs, or is slower than that, is no
// fail-to-pass test. Fills the verifier record. A gate that was not reached has its name and no
// outcome.
//
// Fail-to-pass failed before, error-to-pass was missing or in error; both pass after, in all runs.
// The graded files are the test patch's, and every other file in which the whole suite shows a
// fail-to-pass test; with grade_full_suite every file that holds a test.
//
// Rejections, cheapest first, so that the whole suite is run for promising candidates only:
//   oracle  a run without a usable report. The whole suite's too: with a suite that cannot be
//           measured nobody knows what the fix breaks.
//   oracle  no fail-to-pass test in the test patch's files (error-to-pass alone is not enough: such
//           tests name what the prompt may not)
//   flaky   a fail-to-pass test that does not pass in every run after, or that passes in the whole
//           suite before
//   oracle  pass-to-fail in the graded files: passes before, fails in every run after. A test that
//           is gone after counts when its file can no longer be collected
// Pass-to-pass tests of the graded files that do not pass in some run, whole-suite runs included,
// are dropped into `unjudged` and named. Outside the graded files one run before and one after
// tell a change from a whim only by chance; therefore fail-to-pass and pass-to-fail found there are
// run once more, those files alone, before and after: confirmed pass-to-fail rejects (oracle),
// confirmed fail-to-pass makes its file a graded one, and what varies is counted and named but
// judges nothing.
//
// A fix that passes is run once more as a twin (see RunTwin), which must agree: else the tests are
// such that every honest answer would be doubted (oracle).
//
// Values: oracle: fail_to_pass, error_to_pass, pass_to_pass, pass_to_fail, unjudged, graded_files,
// coarse (expected ids that stand for whole programs, where there are any), suite_tests,
// suite_pass_to_pass, suite_varies, graded_wall_ms (the slowest graded run after the
// fix), targets_alone (1 where the fix passes its targets twice without the other tests of their
// files), doctored, runs, sandboxes; repeat: repeats, shuffled, flaky_pass_to_pass,
// flaky_fail_to_pass; null: runs, sandboxes.
struct OracleResult {
  GateResult oracle;  // F2P > 0, P2F = 0; or no-verdict
  // Doing nothing scores 0, and so do the fix's sources emptied.
  GateResult null;
  // The three runs agree; flaky pass-to-pass tests are dropped and named.
  GateResult repeat;
  v1::TestVerifier expected;  // complete when all three passed (but for the digests of trees)
};
OracleResult OracleGates(const GradingBench& bench, const environments::Proposal& proposal,
                         const GateSettings& settings, std::stop_token stop);

// Every cheater of the driver scores 0; stops at the first that does not. Those whose graded state
// is the one of doing nothing are graded by one run. Values: cheaters, forged, graded_as_nothing,
// runs, sandboxes. A driver without cheaters is a no-verdict: nothing was proven.
GateResult CheatersGate(const GradingBench& bench, const v1::TestVerifier& expected,
                        const environments::Proposal& proposal, const GateSettings& settings,
                        std::stop_token stop);

// The mutation score; `values`: mutants, killed, mutation_score, no_verdict, unbuilt (those that
// did not compile, where there were any), judged_alone (see First::kTargets), runs, sandboxes.
// Mutants without a verdict, and those that did not compile, are left out of the score.
GateResult MutationGate(const GradingBench& bench, const v1::TestVerifier& expected,
                        const environments::Proposal& proposal, const GateSettings& settings,
                        std::stop_token stop);

// The answer is not within the agent's sight: prompt, parent tree, layers, the base's visible
// folders, git objects, package caches. The answer is known by its windows: three lines in a row
// (without blank ones) of a fixed source file that its version before does not have. A file, or the
// prompt, that holds at least 60 % of them leaks it. Values: windows, share_max, files_compared,
// sandboxes.
GateResult LeakGate(const GradingBench& bench, const environments::Proposal& proposal,
                    std::stop_token stop);

// "oracle: 2 tests pass before and fail after": the reason of `list --json` for a rejecting
// evidence (the gate's word, "flaky" for repeat, or no-verdict); empty when it rejects nothing. One
// line.
std::string RejectionReason(const v1::Evidence& evidence);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_GATE_H_
