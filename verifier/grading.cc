#include "verifier/grading.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "proto/base/random.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"
#include "verifier/comparison.h"

namespace taskmint::verifier {
namespace {

using environments::PathRole;
using google::protobuf::RepeatedPtrField;
using Trust = Observation::Trust;

constexpr int64_t kWallMsMax = 600'000;

// How many of `ids` passed; every one becomes a TestResult.
int CountPassed(const RepeatedPtrField<std::string>& ids, const char* role,
                const Observation& observation, v1::Verdict& verdict) {
  int passed = 0;
  for (const std::string& id : ids) {
    const auto found = observation.tests.find(id);
    auto* result = verdict.add_tests();
    result->set_id(id);
    result->set_role(role);
    result->set_status(found == observation.tests.end() ? v1::TEST_STATUS_MISSING : found->second);
    passed += result->status() == v1::TEST_STATUS_PASSED ? 1 : 0;
  }
  return passed;
}

void AddComponent(v1::Verdict& verdict, const char* name, double value, double weight) {
  auto* component = verdict.add_components();
  component->set_name(name);
  component->set_value(value);
  component->set_weight(weight);
}

double Share(int part, int whole) {
  return whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::vector<std::string> TargetsOf(const v1::TestVerifier& expected) {
  std::vector<std::string> targets(expected.fail_to_pass().begin(), expected.fail_to_pass().end());
  targets.insert(targets.end(), expected.error_to_pass().begin(), expected.error_to_pass().end());
  return targets;
}

// "2 of 9 tests did not pass: a (failed), b (missing)".
std::string FailureReason(const v1::Verdict& verdict, int failed) {
  std::string reason = std::to_string(failed) + " of " + std::to_string(verdict.tests_size()) +
                       " tests did not pass: ";
  int named = 0;
  for (const auto& test : verdict.tests()) {
    if (test.status() == v1::TEST_STATUS_PASSED) continue;
    if (named == 3) {
      reason += ", ...";
      break;
    }
    reason += (named++ == 0 ? "" : ", ") + test.id();
  }
  return CutMiddle(Printable(reason), 600);
}

int64_t WallMsMax(const GradingBench& bench, int64_t wall_ms_max) {
  if (wall_ms_max > 0) return wall_ms_max;
  const int64_t limit = bench.environment.limits().wall_ms_max();
  return limit > 0 ? limit : kWallMsMax;
}

void JudgeTwin(const Observation& observation, const environments::DoctoredTests& doctored,
               const std::vector<std::string>& targets, TwinResult& twin) {
  const auto status_of = [&](const std::string& id) {
    const auto found = observation.tests.find(id);
    return found == observation.tests.end() ? v1::TEST_STATUS_MISSING : found->second;
  };
  twin.reason = "twin run: " + observation.reason;
  if (observation.trust == Trust::kNoVerdict) return;
  twin.state =
      observation.trust == Trust::kForged ? v1::Verdict::STATE_FORGED : v1::Verdict::STATE_FAIL;
  if (observation.trust != Trust::kTrusted) return;
  twin.reason.clear();
  for (const std::string& id : doctored.failing) {
    const v1::TestStatus status = status_of(id);
    if (status == v1::TEST_STATUS_FAILED || status == v1::TEST_STATUS_ERROR) continue;
    // Skipped or gone is no lie, but nothing that a pass could be believed on.
    const bool passed = status == v1::TEST_STATUS_PASSED;
    if (passed) twin.state = v1::Verdict::STATE_FORGED;
    twin.reason = "twin run: a test that was made to fail was " +
                  std::string(passed ? "reported passed: " : "not reported failed: ") +
                  CutMiddle(Printable(id), 300);
    if (passed) return;
  }
  if (!twin.reason.empty()) return;
  std::vector<std::string> must_pass = doctored.copies;
  for (const std::string& id : doctored.untouched) {
    if (std::find(targets.begin(), targets.end(), id) != targets.end()) must_pass.push_back(id);
  }
  for (const std::string& id : must_pass) {
    if (status_of(id) == v1::TEST_STATUS_PASSED) continue;
    twin.reason = "twin run: did not pass again: " + CutMiddle(Printable(id), 300);
    return;
  }
  twin.state = v1::Verdict::STATE_PASS;
  twin.reason.clear();
}

// One draw; times and counts add up.
void RunTwinOnce(const GradingBench& bench, const v1::TestVerifier& expected,
                 const FileTree& solution, const std::stop_token& stop, int64_t wall_ms_max,
                 TwinResult& twin) {
  const std::vector<std::string> targets = TargetsOf(expected);
  const std::vector<std::string> others(expected.pass_to_pass().begin(),
                                        expected.pass_to_pass().end());
  const auto doctor = [&] {
    return bench.driver.Doctor(bench.sandboxes, bench.overlay, targets, others, SystemRandom(),
                               stop);
  };
  auto doctored = doctor();
  if (!doctored.ok() && !stop.stop_requested()) doctored = doctor();
  ++twin.sandboxes;
  twin.state = v1::Verdict::STATE_NO_VERDICT;
  if (!doctored.ok()) {
    twin.reason = CutMiddle(Printable(doctored.status().message()), 600);
    return;
  }
  twin.doctored = static_cast<int64_t>(doctored->failing.size());
  if (twin.doctored == 0) {
    twin.state = v1::Verdict::STATE_PASS;
    twin.reason.clear();
    return;
  }
  GradingBench other = bench;
  other.overlay.Overlay(doctored->files);
  Observer observer(other, solution);
  const Observation observation =
      observer.Observe({expected.graded_files().begin(), expected.graded_files().end()},
                       std::nullopt, WallMsMax(bench, wall_ms_max), stop);
  twin.log = observation.log;
  twin.wall_ms += observation.wall_ms;
  twin.cpu_ms += observation.cpu_ms;
  twin.sandboxes += observer.sandboxes();
  twin.runs += observer.runs();
  JudgeTwin(observation, *doctored, targets, twin);
}

// What is expected of the files that hold a fail-to-pass or an error-to-pass test.
v1::TestVerifier OfTargetFiles(const v1::TestVerifier& expected) {
  v1::TestVerifier part = expected;
  std::set<std::string, std::less<>> files;
  for (const std::string& id : TargetsOf(expected)) {
    if (FileOfTest(id) == id) return part;
    files.emplace(FileOfTest(id));
  }
  part.clear_graded_files();
  for (const std::string& file : expected.graded_files()) {
    if (files.count(file) > 0) part.add_graded_files(file);
  }
  part.clear_pass_to_pass();
  for (const std::string& id : expected.pass_to_pass()) {
    if (files.count(FileOfTest(id)) > 0) part.add_pass_to_pass(id);
  }
  return part;
}

// The same of these tests alone.
v1::TestVerifier OfTargets(const v1::TestVerifier& expected) {
  v1::TestVerifier part = OfTargetFiles(expected);
  part.clear_pass_to_pass();
  return part;
}

// Takes a pass back where its twin speaks against it.
void Doubt(const TwinResult& twin, v1::Verdict& verdict) {
  verdict.set_wall_ms(verdict.wall_ms() + twin.wall_ms);
  verdict.set_cpu_ms(verdict.cpu_ms() + twin.cpu_ms);
  if (twin.state == v1::Verdict::STATE_PASS) return;
  verdict.set_state(twin.state);
  verdict.set_reason(twin.reason);
  verdict.set_score(0);
  if (twin.state == v1::Verdict::STATE_NO_VERDICT) {
    verdict.clear_tests();
    verdict.clear_components();
    verdict.clear_digest();
    return;
  }
  for (auto& component : *verdict.mutable_components()) component.set_value(0);
}

class Grader {
 public:
  Grader(const GradingBench& bench, const v1::TestVerifier& expected, const FileTree& solution,
         Observer& observer, const std::stop_token& stop, const GradeOptions& options)
      : bench_(bench),
        expected_(expected),
        solution_(solution),
        observer_(observer),
        stop_(stop),
        options_(options) {}

  GradeResult GradeTargets() {
    PassTargets();
    return std::move(result_);
  }

  GradeResult Grade() {
    if (GoesOn() && Pass(expected_, {}) && options_.depth == Depth::kWithTwin) {
      Twin();
    }
    return std::move(result_);
  }

 private:
  // Whether what runs first leaves anything open.
  bool GoesOn() {
    if (options_.first == First::kTargets) {
      if (PassTargets()) return true;
      if (result_.verdict.state() == v1::Verdict::STATE_NO_VERDICT) return false;
      result_.judged_alone =
          options_.depth == Depth::kOneRun || result_.verdict.state() == v1::Verdict::STATE_FORGED;
      return !result_.judged_alone;
    }
    if (options_.first == First::kEverything) return true;
    const v1::TestVerifier files = OfTargetFiles(expected_);
    const bool fewer = files.graded_files_size() < expected_.graded_files_size();
    return !fewer || files.graded_files().empty() || Pass(files, {});
  }

  bool PassTargets() {
    const v1::TestVerifier targets = OfTargets(expected_);
    if (targets.graded_files().empty()) {  // a run of no files would be one of the whole suite
      result_.verdict.set_state(v1::Verdict::STATE_FAIL);
      result_.verdict.set_reason("no graded file holds a fail-to-pass test");
      return false;
    }
    return Pass(targets, TargetsOf(expected_));
  }

  // One run of the files that `expected` names, or of `tests` in them.
  bool Pass(const v1::TestVerifier& expected, const std::vector<std::string>& tests) {
    const int64_t runs = observer_.runs();
    const int64_t sandboxes = observer_.sandboxes();
    const Observation observation =
        observer_.ObserveTests({expected.graded_files().begin(), expected.graded_files().end()},
                               tests, WallMsMax(bench_, options_.wall_ms_max), stop_);
    const int64_t wall_ms = result_.verdict.wall_ms();
    const int64_t cpu_ms = result_.verdict.cpu_ms();
    result_.verdict = Judge(observation, expected, observer_.state_digest());
    result_.verdict.set_wall_ms(wall_ms + observation.wall_ms);
    result_.verdict.set_cpu_ms(cpu_ms + observation.cpu_ms);
    result_.log = observation.log;
    result_.built = observation.built;
    result_.sandboxes += observer_.sandboxes() - sandboxes;
    result_.runs += observer_.runs() - runs;
    return result_.verdict.state() == v1::Verdict::STATE_PASS;
  }

  void Twin() {
    const TwinResult twin = RunTwin(bench_, expected_, solution_, stop_, options_.wall_ms_max);
    result_.sandboxes += twin.sandboxes;
    result_.runs += twin.runs;
    Doubt(twin, result_.verdict);
    if (twin.state != v1::Verdict::STATE_PASS) result_.log += "\n--- twin run ---\n" + twin.log;
  }

  const GradingBench& bench_;
  const v1::TestVerifier& expected_;
  const FileTree& solution_;
  Observer& observer_;
  const std::stop_token stop_;
  const GradeOptions options_;
  GradeResult result_;
};

}  // namespace

FileTree GradedState(const GradingBench& bench, const FileTree& solution) {
  FileTree state = solution;
  FileTree reference = bench.parent_tree;
  reference.Overlay(bench.overlay);
  for (const std::string& path : bench.driver.ForeignSteering(solution, reference)) {
    state.Remove(path);
  }
  for (const std::string& path : bench.removed_paths) state.Remove(path);
  for (const auto& [path, entry] : solution.files()) {
    const PathRole role = bench.driver.RoleOf(path);
    const bool fixed = role == PathRole::kTest || role == PathRole::kSteering;
    if (fixed && !bench.overlay.Contains(path)) state.Remove(path);
  }
  state.Overlay(bench.overlay);
  return state;
}

v1::Verdict Judge(const Observation& observation, const v1::TestVerifier& expected,
                  const std::string& state_digest) {
  v1::Verdict verdict;
  verdict.set_wall_ms(observation.wall_ms);
  verdict.set_cpu_ms(observation.cpu_ms);
  verdict.set_reason(observation.reason);
  if (observation.trust == Trust::kNoVerdict) {
    verdict.set_state(v1::Verdict::STATE_NO_VERDICT);
    return verdict;
  }
  int to_pass = CountPassed(expected.fail_to_pass(), "fail-to-pass", observation, verdict);
  to_pass += CountPassed(expected.error_to_pass(), "error-to-pass", observation, verdict);
  const int stayed = CountPassed(expected.pass_to_pass(), "pass-to-pass", observation, verdict);
  const int failed = verdict.tests_size() - to_pass - stayed;
  std::sort(verdict.mutable_tests()->pointer_begin(), verdict.mutable_tests()->pointer_end(),
            [](const auto* a, const auto* b) { return a->id() < b->id(); });
  const bool trusted = observation.trust == Trust::kTrusted;
  // A record that expects nothing proves nothing.
  const bool passed = trusted && failed == 0 && verdict.tests_size() > 0;
  if (observation.trust == Trust::kForged) {
    verdict.set_state(v1::Verdict::STATE_FORGED);
  } else {
    verdict.set_state(passed ? v1::Verdict::STATE_PASS : v1::Verdict::STATE_FAIL);
  }
  if (passed) {
    verdict.set_reason("all " + std::to_string(verdict.tests_size()) + " tests passed");
  } else if (trusted) {
    verdict.set_reason(FailureReason(verdict, failed));
  }
  verdict.set_score(passed ? 1.0 : 0.0);
  AddComponent(verdict, "tests", verdict.score(), 1);
  const int targets = expected.fail_to_pass_size() + expected.error_to_pass_size();
  AddComponent(verdict, "fail_to_pass", trusted ? Share(to_pass, targets) : 0, 0);
  AddComponent(verdict, "pass_to_pass", trusted ? Share(stayed, expected.pass_to_pass_size()) : 0,
               0);
  verdict.set_digest(VerdictDigest(verdict, state_digest));
  return verdict;
}

TwinResult RunTwin(const GradingBench& bench, const v1::TestVerifier& expected,
                   const FileTree& solution, std::stop_token stop, int64_t wall_ms_max) {
  TwinResult twin;
  for (int draw = 0; draw < 2; ++draw) {
    RunTwinOnce(bench, expected, solution, stop, wall_ms_max, twin);
    if (twin.state != v1::Verdict::STATE_FAIL) break;
  }
  return twin;
}

GradeResult GradeTargets(const GradingBench& bench, const v1::TestVerifier& expected,
                         const FileTree& solution, Observer& observer, std::stop_token stop,
                         const GradeOptions& options) {
  return Grader(bench, expected, solution, observer, stop, options).GradeTargets();
}

GradeResult Grade(const GradingBench& bench, const v1::TestVerifier& expected,
                  const FileTree& solution, std::stop_token stop, const GradeOptions& options) {
  if (expected.graded_files().empty()) {
    GradeResult result;
    result.verdict.set_state(v1::Verdict::STATE_NO_VERDICT);
    result.verdict.set_reason("the task names no test files to grade");
    return result;
  }
  Observer observer(bench, solution);
  return Grader(bench, expected, solution, observer, stop, options).Grade();
}

}  // namespace taskmint::verifier
