#include "orchestrator/regrade.h"

#include <optional>
#include <set>
#include <utility>

#include "environments/repository/patch.h"
#include "proto/base/record.h"
#include "verifier/gate.h"
#include "verifier/grading.h"

namespace taskmint::orchestrator {
namespace {

using Kind = ProposedSolution::Kind;

verifier::GradeResult NoVerdict(const std::string& reason) {
  verifier::GradeResult result;
  result.verdict.set_state(v1::Verdict::STATE_NO_VERDICT);
  result.verdict.set_reason(reason);
  return result;
}

verifier::GradeResult NotApplied(const std::string& why) {
  verifier::GradeResult result;
  v1::Verdict& verdict = result.verdict;
  verdict.set_state(v1::Verdict::STATE_FAIL);
  verdict.set_score(0);
  verdict.set_reason(why);
  verdict.set_digest(VerdictDigest(verdict, ""));
  return result;
}

Status Stopped() { return Status(Code::kCancelled, Boundary::kNone, "interrupted"); }

// The slowest graded run of the fix when the task was minted; nothing where it was not measured.
std::optional<int64_t> MintedWallMs(const v1::Candidate& kept) {
  for (const v1::Evidence& row : kept.evidence()) {
    const auto found = row.values().find("graded_wall_ms");
    if (row.gate() == "oracle" && found != row.values().end()) {
      return static_cast<int64_t>(found->second);
    }
  }
  return std::nullopt;
}

// Grades what may hang: no longer than AnswerWallMsMax. Where that limit is met, a run of the fix
// tells whether the answer hangs or this machine is slow, and a slow one gives it all the time that
// the environment allows.
verifier::GradeResult GradeAnswer(const TaskBench& loaded, const v1::Candidate& kept,
                                  const FileTree& tree, const std::stop_token& stop) {
  const v1::TestVerifier& expected = kept.task().verifier().tests();
  const int64_t all_ms = kept.task().environment().repository().limits().wall_ms_max();
  const std::optional<int64_t> minted_ms = MintedWallMs(kept);
  verifier::GradeOptions options;
  if (minted_ms && all_ms > 0) options.wall_ms_max = verifier::AnswerWallMsMax(*minted_ms, all_ms);
  verifier::GradeResult answer = verifier::Grade(loaded.bench, expected, tree, stop, options);
  const bool limited = options.wall_ms_max > 0 && options.wall_ms_max < all_ms;
  if (!limited || answer.verdict.state() != v1::Verdict::STATE_FAIL ||
      answer.verdict.wall_ms() < options.wall_ms_max) {
    return answer;
  }
  const auto gold =
      environments::ApplyPatch(loaded.bench.sandboxes, loaded.parent_tree, loaded.gold_patch, stop);
  if (!gold.ok()) return NoVerdict(gold.status().message());
  const v1::Verdict fix =
      verifier::Grade(loaded.bench, expected, *gold, stop, {verifier::Depth::kOneRun}).verdict;
  if (fix.state() != v1::Verdict::STATE_PASS) return NoVerdict("the fix itself: " + fix.reason());
  if (verifier::AnswerWallMsMax(fix.wall_ms(), all_ms) <= options.wall_ms_max) return answer;
  return verifier::Grade(loaded.bench, expected, tree, stop);
}

Result<verifier::GradeResult> GradeOn(const TaskBench& loaded, const v1::Candidate& kept,
                                      const ProposedSolution& solution,
                                      const std::stop_token& stop) {
  FileTree tree = loaded.parent_tree;
  if (solution.kind != Kind::kNull) {
    const std::string& patch = solution.kind == Kind::kGold ? loaded.gold_patch : solution.patch;
    auto applied =
        environments::ApplyPatch(loaded.bench.sandboxes, loaded.parent_tree, patch, stop);
    if (stop.stop_requested()) return Stopped();
    if (!applied.ok()) {
      const Status& status = applied.status();
      const bool its_own = status.boundary() == Boundary::kEnvironment;
      return its_own ? NotApplied(status.message()) : NoVerdict(status.message());
    }
    tree = *std::move(applied);
  }
  verifier::GradeResult result =
      solution.kind == Kind::kGold
          ? verifier::Grade(loaded.bench, kept.task().verifier().tests(), tree, stop)
          : GradeAnswer(loaded, kept, tree, stop);
  if (stop.stop_requested()) return Stopped();
  return result;
}

// The verdict that the evidence holds of the last attempt with one of the names; null when there is
// none.
const v1::Verdict* Recorded(const v1::Candidate& candidate, const std::string& gate,
                            const std::set<std::string>& attempts) {
  const v1::Verdict* found = nullptr;
  for (const v1::Evidence& evidence : candidate.evidence()) {
    if (evidence.gate() != gate) continue;
    for (const v1::Attempt& row : evidence.attempts()) {
      if (attempts.count(row.name()) != 0) found = &row.verdict();
    }
  }
  return found;
}

// What a test's status was, where its role tells: everything passed with the reference solution,
// and a test's role says how it ended without it.
v1::TestStatus StatusThen(Kind kind, const v1::TestResult& test) {
  if (kind == Kind::kGold || test.role() == "pass-to-pass") return v1::TEST_STATUS_PASSED;
  return test.role() == "fail-to-pass" ? v1::TEST_STATUS_FAILED : v1::TEST_STATUS_UNSPECIFIED;
}

// Says what differs, test by test where it can be told.
void Compare(Kind kind, const v1::Verdict& before, const v1::Verdict& now,
             v1::ReplayReport& report) {
  if (before.digest() == now.digest() && before.state() == now.state()) return;
  const std::string name = kind == Kind::kGold ? "gold" : "null";
  report.add_differences(name + ": verdict was " + VerdictStateName(before.state()) +
                         " with digest " + before.digest().substr(0, 12) + ", is " +
                         VerdictStateName(now.state()) + " with " + now.digest().substr(0, 12) +
                         " (" + now.reason() + ")");
  for (const v1::TestResult& test : now.tests()) {
    const v1::TestStatus then = StatusThen(kind, test);
    if (then == v1::TEST_STATUS_UNSPECIFIED || then == test.status()) continue;
    report.add_differences(name + ": " + test.id() + " was " + TestStatusName(then) + ", is " +
                           TestStatusName(test.status()));
  }
}

// Why nothing can be graded where the machine, and not the task, is at fault; nothing else.
std::string MachineFault(const Status& status) {
  const bool machine = status.boundary() == Boundary::kSandbox && status.code() != Code::kCancelled;
  return machine ? status.message() : "";
}

}  // namespace

Result<verifier::GradeResult> GradeSolution(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                            const v1::Candidate& kept,
                                            const ProposedSolution& solution,
                                            std::stop_token stop) {
  const v1::Task& task = kept.task();
  TASKMINT_ASSIGN_OR_RETURN(const std::string difference, BaseDifference(task));
  if (!difference.empty()) return NoVerdict(difference);
  const auto loaded = LoadTaskBench(store, sandboxes, task, stop);
  if (!loaded.ok() && !MachineFault(loaded.status()).empty()) {
    return NoVerdict(MachineFault(loaded.status()));
  }
  TASKMINT_RETURN_IF_ERROR(loaded.status());
  return GradeOn(*loaded, kept, solution, stop);
}

Result<verifier::GradeResult> GradeTree(const TaskBench& loaded, const v1::Candidate& kept,
                                        const FileTree& tree, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const std::string difference, BaseDifference(kept.task()));
  if (!difference.empty()) return NoVerdict(difference);
  verifier::GradeResult result = GradeAnswer(loaded, kept, tree, stop);
  if (stop.stop_requested()) return Stopped();
  return result;
}

Result<v1::ReplayReport> Replay(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                const v1::Candidate& kept, const Clock& clock,
                                std::stop_token stop) {
  const int64_t started_ms = clock.MonotonicMs();
  const v1::Task& task = kept.task();
  v1::ReplayReport report;
  report.set_id(task.id());
  TASKMINT_ASSIGN_OR_RETURN(*report.mutable_no_verdict(), BaseDifference(task));
  if (!report.no_verdict().empty()) return report;
  const auto loaded = LoadTaskBench(store, sandboxes, task, stop);
  if (!loaded.ok()) report.set_no_verdict(MachineFault(loaded.status()));
  if (!report.no_verdict().empty()) return report;
  TASKMINT_RETURN_IF_ERROR(loaded.status());
  const struct {
    Kind kind;
    const char* gate;
    std::set<std::string> names;
  } attempts[] = {{Kind::kGold, "oracle", {"after", "after, wider"}},
                  {Kind::kNull, "null", {"null"}}};
  for (const auto& attempt : attempts) {
    const v1::Verdict* before = Recorded(kept, attempt.gate, attempt.names);
    if (before == nullptr) {
      report.add_differences(std::string(attempt.gate) + ": the evidence holds no verdict");
      continue;
    }
    TASKMINT_ASSIGN_OR_RETURN(const verifier::GradeResult graded,
                              GradeOn(*loaded, kept, ProposedSolution{attempt.kind, ""}, stop));
    const v1::Verdict& now = graded.verdict;
    report.set_test_wall_ms(report.test_wall_ms() + now.wall_ms());
    report.set_wall_ms(clock.MonotonicMs() - started_ms);
    if (now.state() == v1::Verdict::STATE_NO_VERDICT) {
      report.set_no_verdict(now.reason());
      return report;
    }
    Compare(attempt.kind, *before, now, report);
  }
  return report;
}

bool Agrees(const v1::ReplayReport& report) {
  return report.no_verdict().empty() && report.differences().empty();
}

std::string VerdictStateName(v1::Verdict::State state) {
  switch (state) {
    case v1::Verdict::STATE_PASS:
      return "pass";
    case v1::Verdict::STATE_FAIL:
      return "fail";
    case v1::Verdict::STATE_FORGED:
      return "forged";
    default:
      return "no-verdict";
  }
}

std::string TestStatusName(v1::TestStatus status) {
  switch (status) {
    case v1::TEST_STATUS_PASSED:
      return "passed";
    case v1::TEST_STATUS_FAILED:
      return "failed";
    case v1::TEST_STATUS_ERROR:
      return "error";
    case v1::TEST_STATUS_SKIPPED:
      return "skipped";
    default:
      return "missing";
  }
}

namespace {

Status NoTask(const std::string& id) {
  return {Code::kNotFound, Boundary::kStore, "no task " + id + ": `taskmint list` names them"};
}

}  // namespace

Result<v1::Candidate> FindKept(datasets::Store& store, const std::string& id) {
  auto found = store.FindById(id);
  // Whoever knows the commits of a public source can compute the ids of its candidates: one that
  // led to a task would tell which commit is the task's fix.
  const bool other = found.ok() && found->state() == v1::Candidate::STATE_KEPT &&
                     !found->task().id().starts_with(id);
  if (other || found.status().code() == Code::kNotFound) {
    return NoTask(id);
  }
  TASKMINT_ASSIGN_OR_RETURN(v1::Candidate candidate, std::move(found));
  if (candidate.state() != v1::Candidate::STATE_KEPT) {
    return Status(Code::kFailedPrecondition, Boundary::kStore,
                  id + " was not kept" +
                      (candidate.reason().empty() ? "" : " (" + candidate.reason() + ")") +
                      "; only kept tasks can be graded");
  }
  return candidate;
}

Result<v1::Candidate> FindServed(datasets::Store& store, const std::string& id) {
  auto kept = FindKept(store, id);
  if (kept.status().code() == Code::kFailedPrecondition) return NoTask(id);
  if (kept.status().code() == Code::kInvalidArgument) {  // names no candidates' ids
    return Status(Code::kInvalidArgument, Boundary::kConfig,
                  "not the start of one task's id: give at least 6 of its digits, or all of them");
  }
  return kept;
}

}  // namespace taskmint::orchestrator
