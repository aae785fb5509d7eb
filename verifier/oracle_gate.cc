#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "proto/base/random.h"
#include "verifier/comparison.h"
#include "verifier/evidence.h"
#include "verifier/gate.h"

namespace taskmint::verifier {
namespace {

using environments::Proposal;
using Trust = Observation::Trust;

// Why the gates end here.
struct Stop {
  enum class Gate { kOracle, kRepeat, kNull };
  Gate gate = Gate::kOracle;
  bool no_verdict = false;
  std::string detail;
};
using MaybeStop = std::optional<Stop>;

Stop RejectOracle(std::string detail) { return {Stop::Gate::kOracle, false, std::move(detail)}; }
Stop RejectFlaky(std::string detail) { return {Stop::Gate::kRepeat, false, std::move(detail)}; }

// One run, kept until the expected ids are known.
struct Run {
  std::string name;
  bool repeat = false;  // belongs to the repeat gate's row
  bool after = false;   // of the fix
  bool graded = false;  // of the graded files, all of them
  Observation observation;
};

bool NotPassed(const Tests& tests, const std::string& id) {
  const auto found = tests.find(id);
  return found != tests.end() && found->second != v1::TEST_STATUS_PASSED;
}

bool Passed(const Tests& tests, const std::string& id) {
  const auto found = tests.find(id);
  return found != tests.end() && found->second == v1::TEST_STATUS_PASSED;
}

// Moves the ids for which `leaves` holds from one list to another.
template <typename Predicate>
void Move(std::vector<std::string>& from, std::vector<std::string>& to, const Predicate& leaves) {
  const auto middle = std::stable_partition(from.begin(), from.end(),
                                            [&](const std::string& id) { return !leaves(id); });
  to.insert(to.end(), middle, from.end());
  from.erase(middle, from.end());
  std::sort(to.begin(), to.end());
}

void Fill(google::protobuf::RepeatedPtrField<std::string>* field,
          const std::vector<std::string>& ids) {
  for (const std::string& id : ids) field->Add(std::string(id));
}

// "passes before and fails after the fix: a".
std::string PassAndFail(const std::vector<std::string>& ids) {
  const char* verbs = ids.size() == 1 ? "passes before and fails" : "pass before and fail";
  return verbs + (" after the fix: " + NameSome(ids));
}

class OracleRun {
 public:
  OracleRun(const GradingBench& bench, const Proposal& proposal, const GateSettings& settings,
            std::stop_token stop)
      : bench_(bench),
        proposal_(proposal),
        settings_(settings),
        stop_(std::move(stop)),
        before_(bench, proposal.parent_tree),
        after_(bench, proposal.gold_tree),
        graded_(proposal.test_files.begin(), proposal.test_files.end()) {}

  OracleResult Go() {
    MaybeStop stop = RunGraded();
    if (!stop) stop = RunSuite();
    if (!stop) stop = Widen();
    if (!stop) stop = Settle();
    if (!stop) stop = CheckTwin();
    if (!stop) CheckAlone();
    if (!stop) stop = CheckNull();
    return Close(stop);
  }

 private:
  static constexpr int kRepeats = 3;

  MaybeStop Observe(bool after, bool repeat, const std::string& name,
                    const std::vector<std::string>& files, std::optional<uint64_t> shuffle_seed,
                    Tests* tests);
  // The run before, with a limit that the run after, which is the last one made, gives it.
  MaybeStop ObserveBefore(const std::string& name, const std::vector<std::string>& files,
                          Tests* tests);
  // Both at once, so that the one before is ready when the run after is done.
  void OpenSessions();
  MaybeStop RunGraded();
  MaybeStop RunSuite();
  MaybeStop Widen();
  MaybeStop Confirm(const std::vector<std::string>& fail_to_pass,
                    const std::vector<std::string>& pass_to_fail, std::set<std::string>& wider);
  MaybeStop Settle();
  MaybeStop CheckTwin();
  void CheckAlone();
  MaybeStop CheckNull();
  OracleResult Close(const MaybeStop& stop);
  void AddRuns();
  v1::Verdict Describe(const Run& run) const;
  std::vector<const Tests*> Repeats() const {
    return {&graded_after_[0], &graded_after_[1], &graded_after_[2]};
  }
  // A file of either state that a run can name.
  bool IsFile(const std::string& path) const {
    return bench_.overlay.Contains(path) || proposal_.gold_tree.Contains(path);
  }

  const GradingBench& bench_;
  const Proposal& proposal_;
  const GateSettings& settings_;
  std::stop_token stop_;
  Observer before_;
  Observer after_;
  std::set<std::string> graded_;
  int64_t before_wall_ms_max_ = settings_.test_wall_ms_max;
  int64_t graded_wall_ms_ = 0;  // the slowest graded run after the fix
  bool widened_ = false;
  int64_t coarse_ = 0;  // expected ids that stand for whole programs
  std::vector<Run> runs_;
  Tests graded_before_;
  Tests graded_after_[kRepeats];
  Tests suite_before_;
  Tests suite_after_;
  std::vector<std::string> suite_varies_;
  Comparison comparison_;
  v1::TestVerifier expected_;
  EvidenceWriter oracle_{"oracle"};
  EvidenceWriter repeat_{"repeat"};
  EvidenceWriter null_{"null"};
};

MaybeStop OracleRun::Observe(bool after, bool repeat, const std::string& name,
                             const std::vector<std::string>& files,
                             std::optional<uint64_t> shuffle_seed, Tests* tests) {
  Observer& observer = after ? after_ : before_;
  const int64_t runs = observer.runs();
  const int64_t sandboxes = observer.sandboxes();
  const bool graded = std::set<std::string>(files.begin(), files.end()) == graded_;
  Run run{widened_ ? name + ", wider" : name, repeat, after, graded,
          observer.Observe(files, shuffle_seed,
                           after ? settings_.test_wall_ms_max : before_wall_ms_max_, stop_)};
  EvidenceWriter& row = repeat ? repeat_ : oracle_;
  row.Count("runs", static_cast<double>(observer.runs() - runs));
  row.Count("sandboxes", static_cast<double>(observer.sandboxes() - sandboxes));
  *tests = run.observation.tests;
  const Trust trust = run.observation.trust;
  std::string reason = run.observation.reason;
  runs_.push_back(std::move(run));
  if (trust == Trust::kTrusted) return std::nullopt;
  const Stop::Gate gate = repeat ? Stop::Gate::kRepeat : Stop::Gate::kOracle;
  return Stop{gate, trust == Trust::kNoVerdict, "run '" + name + "': " + reason};
}

MaybeStop OracleRun::ObserveBefore(const std::string& name, const std::vector<std::string>& files,
                                   Tests* tests) {
  before_wall_ms_max_ =
      WallMsMaxBeside(runs_.back().observation.wall_ms, settings_.test_wall_ms_max);
  return Observe(false, false, name, files, {}, tests);
}

void OracleRun::OpenSessions() {
  const int64_t sandboxes = after_.sandboxes() + before_.sandboxes();
  after_.Open(stop_);
  before_.Open(stop_);
  oracle_.Count("sandboxes",
                static_cast<double>(after_.sandboxes() + before_.sandboxes() - sandboxes));
}

MaybeStop OracleRun::RunGraded() {
  if (graded_.empty()) return RejectOracle("the fix changes no test file");
  const std::vector<std::string> files(graded_.begin(), graded_.end());
  OpenSessions();
  if (auto stop = Observe(true, false, "after", files, {}, &graded_after_[0])) return stop;
  if (auto stop = ObserveBefore("before", files, &graded_before_)) return stop;
  const Comparison once = Compare(graded_before_, {&graded_after_[0]});
  if (once.fail_to_pass.empty() && !settings_.grade_full_suite) {
    std::string detail = "no test fails before and passes after the fix";
    if (!once.error_to_pass.empty()) {
      detail +=
          " (" + CountOf(once.error_to_pass.size(), "test") + " only in error or missing before)";
    }
    return RejectOracle(detail);
  }
  if (auto stop = Observe(true, true, "after, again", files, {}, &graded_after_[1])) return stop;
  const uint64_t seed = Random(settings_.seed, "shuffle " + proposal_.commit.sha).Next();
  return Observe(true, true, "after, shuffled", files, seed, &graded_after_[2]);
}

MaybeStop OracleRun::RunSuite() {
  const Comparison graded = Compare(graded_before_, Repeats());
  if (!graded.flaky_fail_to_pass.empty() || !graded.pass_to_fail.empty()) {
    return std::nullopt;  // Settle() rejects; the suite would change nothing
  }
  if (auto stop = Observe(true, false, "whole suite after", {}, {}, &suite_after_)) return stop;
  return ObserveBefore("whole suite before", {}, &suite_before_);
}

MaybeStop OracleRun::Confirm(const std::vector<std::string>& fail_to_pass,
                             const std::vector<std::string>& pass_to_fail,
                             std::set<std::string>& wider) {
  std::set<std::string> files;
  bool everywhere = false;  // some ids do not name their files
  for (const auto* ids : {&fail_to_pass, &pass_to_fail}) {
    for (const std::string& id : *ids) {
      std::string file(FileOfTest(id));
      // Of C++ an id begins with a program's name, and may hold "::" further on.
      everywhere |= !IsFile(file);
      if (IsFile(file)) files.insert(std::move(file));
    }
  }
  suite_varies_ = fail_to_pass;
  suite_varies_.insert(suite_varies_.end(), pass_to_fail.begin(), pass_to_fail.end());
  if (files.empty() && !everywhere) return std::nullopt;
  if (everywhere) files.clear();
  const std::vector<std::string> list(files.begin(), files.end());
  Tests before;
  Tests after;
  if (auto stop = Observe(true, false, "changed elsewhere, after", list, {}, &after)) return stop;
  if (auto stop = ObserveBefore("changed elsewhere, before", list, &before)) return stop;
  const Comparison again = Compare(before, {&after});
  std::vector<std::string> broken;
  std::set_intersection(pass_to_fail.begin(), pass_to_fail.end(), again.pass_to_fail.begin(),
                        again.pass_to_fail.end(), std::back_inserter(broken));
  if (!broken.empty()) {
    oracle_.Count("pass_to_fail", static_cast<double>(broken.size()));
    return RejectOracle(CountOf(broken.size(), "test") + " outside the test patch " +
                        PassAndFail(broken));
  }
  suite_varies_.clear();
  for (const std::string& id : fail_to_pass) {
    const bool confirmed =
        std::binary_search(again.fail_to_pass.begin(), again.fail_to_pass.end(), id);
    if (confirmed && IsFile(std::string(FileOfTest(id)))) {
      wider.insert(std::string(FileOfTest(id)));
    } else {
      suite_varies_.push_back(id);
    }
  }
  suite_varies_.insert(suite_varies_.end(), pass_to_fail.begin(), pass_to_fail.end());
  return std::nullopt;
}

// Takes files outside the test patch into the graded ones, and runs the graded runs again.
MaybeStop OracleRun::Widen() {
  if (suite_after_.empty()) return std::nullopt;
  Comparison suite = Compare(suite_before_, {&suite_after_});
  oracle_.Count("suite_tests", static_cast<double>(suite_after_.size()));
  oracle_.Count("suite_pass_to_pass", static_cast<double>(suite.pass_to_pass.size()));
  std::vector<std::string> graded;
  const auto is_graded = [&](const std::string& id) {
    return graded_.count(std::string(FileOfTest(id))) > 0 || graded_after_[0].count(id) > 0;
  };
  Move(suite.fail_to_pass, graded, is_graded);
  Move(suite.pass_to_fail, graded, is_graded);
  std::set<std::string> wider;
  if (!suite.fail_to_pass.empty() || !suite.pass_to_fail.empty()) {
    if (auto stop = Confirm(suite.fail_to_pass, suite.pass_to_fail, wider)) return stop;
  }
  oracle_.Count("suite_varies", static_cast<double>(suite_varies_.size()));
  if (settings_.grade_full_suite) {
    for (const auto& [id, status] : suite_after_) {
      if (std::string file(FileOfTest(id)); IsFile(file)) wider.insert(std::move(file));
    }
    for (const auto& [path, entry] : bench_.overlay.files()) {
      if (bench_.driver.IsTestFile(path)) wider.insert(path);
    }
  }
  const size_t narrow = graded_.size();
  graded_.insert(wider.begin(), wider.end());
  if (graded_.size() == narrow) return std::nullopt;
  widened_ = true;
  for (Run& run : runs_) run.graded = false;
  return RunGraded();
}

MaybeStop OracleRun::Settle() {
  Comparison& c = comparison_ = Compare(graded_before_, Repeats());
  // The whole-suite runs are two more repeats of the same tests.
  Move(c.fail_to_pass, c.flaky_fail_to_pass, [&](const std::string& id) {
    return Passed(suite_before_, id) || NotPassed(suite_after_, id);
  });
  Move(c.error_to_pass, c.flaky, [&](const std::string& id) {
    return Passed(suite_before_, id) || NotPassed(suite_after_, id);
  });
  Move(c.pass_to_pass, c.flaky, [&](const std::string& id) {
    return NotPassed(suite_before_, id) || NotPassed(suite_after_, id);
  });
  const std::pair<const char*, size_t> counts[] = {
      {"fail_to_pass", c.fail_to_pass.size()},          {"error_to_pass", c.error_to_pass.size()},
      {"pass_to_pass", c.pass_to_pass.size()},          {"pass_to_fail", c.pass_to_fail.size()},
      {"unjudged", c.unjudged.size() + c.flaky.size()}, {"graded_files", graded_.size()}};
  for (const auto& [name, count] : counts) oracle_.Count(name, static_cast<double>(count));
  for (const auto* ids : {&c.fail_to_pass, &c.error_to_pass, &c.pass_to_pass}) {
    coarse_ += std::count_if(ids->begin(), ids->end(),
                             [&](const std::string& id) { return bench_.driver.IsCoarse(id); });
  }
  if (coarse_ > 0) oracle_.Count("coarse", static_cast<double>(coarse_));
  for (const Run& run : runs_) {
    if (!run.graded || !run.after) continue;
    graded_wall_ms_ = std::max(graded_wall_ms_, run.observation.wall_ms);
  }
  oracle_.Count("graded_wall_ms", static_cast<double>(graded_wall_ms_));
  repeat_.Count("repeats", kRepeats);
  repeat_.Count("shuffled", 1);
  repeat_.Count("flaky_pass_to_pass", static_cast<double>(c.flaky.size()));
  repeat_.Count("flaky_fail_to_pass", static_cast<double>(c.flaky_fail_to_pass.size()));
  if (!c.flaky_fail_to_pass.empty()) {
    return RejectFlaky(CountOf(c.flaky_fail_to_pass.size(), "fail-to-pass test") +
                       " did not pass in every run: " + NameSome(c.flaky_fail_to_pass));
  }
  if (!c.pass_to_fail.empty()) {
    return RejectOracle(CountOf(c.pass_to_fail.size(), "test") + " " + PassAndFail(c.pass_to_fail));
  }
  if (c.fail_to_pass.empty()) return RejectOracle("no test fails before and passes after the fix");
  Fill(expected_.mutable_fail_to_pass(), c.fail_to_pass);
  Fill(expected_.mutable_error_to_pass(), c.error_to_pass);
  Fill(expected_.mutable_pass_to_pass(), c.pass_to_pass);
  std::vector<std::string> unjudged = c.unjudged;
  unjudged.insert(unjudged.end(), c.flaky.begin(), c.flaky.end());
  std::sort(unjudged.begin(), unjudged.end());
  Fill(expected_.mutable_unjudged(), unjudged);
  for (const std::string& file : graded_) expected_.add_graded_files(file);
  std::vector<std::string> removed = proposal_.removed_paths;
  std::sort(removed.begin(), removed.end());
  for (std::string& path : removed) expected_.add_removed_paths(std::move(path));
  return std::nullopt;
}

// What will doubt every passing answer must not doubt the fix itself.
MaybeStop OracleRun::CheckTwin() {
  TwinResult twin = RunTwin(bench_, expected_, proposal_.gold_tree, stop_);
  oracle_.Count("runs", static_cast<double>(twin.runs));
  oracle_.Count("sandboxes", static_cast<double>(twin.sandboxes));
  oracle_.Count("doctored", static_cast<double>(twin.doctored));
  v1::Verdict verdict;
  verdict.set_state(twin.state);
  verdict.set_reason(twin.reason);
  verdict.set_wall_ms(twin.wall_ms);
  verdict.set_cpu_ms(twin.cpu_ms);
  if (twin.doctored > 0) oracle_.AddAttempt("twin of after", verdict, std::move(twin.log));
  if (twin.state == v1::Verdict::STATE_PASS) return std::nullopt;
  if (twin.state == v1::Verdict::STATE_FAIL) return RejectFlaky(twin.reason);
  return Stop{Stop::Gate::kOracle, twin.state == v1::Verdict::STATE_NO_VERDICT, twin.reason};
}

// Whether attacks may be graded by the targets alone.
void OracleRun::CheckAlone() {
  oracle_.Count("targets_alone", 0);
  if (!bench_.driver.RunsTestsAlone() ||
      !bench_.driver.StartsRunner(bench_.environment.test_command())) {
    return;
  }
  const GradeOptions as_attacks{Depth::kOneRun,
                                WallMsMaxBeside(graded_wall_ms_, settings_.test_wall_ms_max)};
  for (const char* name : {"targets alone", "targets alone, again"}) {
    GradeResult alone =
        GradeTargets(bench_, expected_, proposal_.gold_tree, after_, stop_, as_attacks);
    const v1::Verdict::State state = alone.verdict.state();
    oracle_.Count("runs", static_cast<double>(alone.runs));
    oracle_.Count("sandboxes", static_cast<double>(alone.sandboxes));
    oracle_.AddAttempt(name, std::move(alone.verdict), std::move(alone.log));
    if (state != v1::Verdict::STATE_PASS) return;
  }
  oracle_.Count("targets_alone");
}

MaybeStop OracleRun::CheckNull() {
  const auto refuse = [](const std::string& name, const v1::Verdict& verdict) -> MaybeStop {
    if (verdict.state() == v1::Verdict::STATE_NO_VERDICT) {
      return Stop{Stop::Gate::kNull, true, "run '" + name + "': " + verdict.reason()};
    }
    if (verdict.score() > 0) return Stop{Stop::Gate::kNull, false, name + " scored 1"};
    return std::nullopt;
  };
  Observation before;
  before.trust = Trust::kTrusted;
  before.tests = graded_before_;  // its times are in the oracle's row
  v1::Verdict nothing = Judge(before, expected_, before_.state_digest());
  null_.AddAttempt("null", nothing, "");
  if (auto stop = refuse("doing nothing", nothing)) return stop;

  FileTree emptied = proposal_.parent_tree;
  size_t changed = 0;
  for (const auto& [path, entry] : proposal_.parent_tree.files()) {
    if (bench_.driver.RoleOf(path) != environments::PathRole::kSource) continue;
    const FileEntry* gold = proposal_.gold_tree.Find(path);
    if (entry.content->empty()) continue;
    if (gold != nullptr && (gold->content == entry.content || *gold->content == *entry.content)) {
      continue;
    }
    TASKMINT_CHECK(emptied.Set(path, RegularFile("")).ok());
    ++changed;
  }
  if (changed == 0)
    return std::nullopt;  // the fix only adds files: doing nothing is the empty answer
  GradeResult empty = Grade(bench_, expected_, emptied, stop_);
  null_.Count("runs", static_cast<double>(empty.runs));
  null_.Count("sandboxes", static_cast<double>(empty.sandboxes));
  null_.AddAttempt("empty", empty.verdict, std::move(empty.log));
  return refuse("emptying the fixed files", empty.verdict);
}

v1::Verdict OracleRun::Describe(const Run& run) const {
  const Observation& observation = run.observation;
  // Other runs were not asked for the expected tests.
  if (expected_.fail_to_pass_size() > 0 && run.graded) {
    return Judge(observation, expected_, (run.after ? after_ : before_).state_digest());
  }
  v1::Verdict verdict;
  verdict.set_wall_ms(observation.wall_ms);
  verdict.set_cpu_ms(observation.cpu_ms);
  verdict.set_reason(observation.reason.empty() ? Tally(observation.tests) : observation.reason);
  if (observation.trust == Trust::kNoVerdict) verdict.set_state(v1::Verdict::STATE_NO_VERDICT);
  if (observation.trust == Trust::kForged) verdict.set_state(v1::Verdict::STATE_FORGED);
  if (observation.trust == Trust::kNoReport) verdict.set_state(v1::Verdict::STATE_FAIL);
  return verdict;
}

void OracleRun::AddRuns() {
  for (Run& run : runs_) {
    v1::Verdict verdict = Describe(run);
    (run.repeat ? repeat_ : oracle_)
        .AddAttempt(run.name, std::move(verdict), std::move(run.observation.log));
  }
}

OracleResult OracleRun::Close(const MaybeStop& stop) {
  AddRuns();
  const auto close = [&](Stop::Gate gate, EvidenceWriter& row, const std::string& detail) {
    if (!stop) return row.Pass(detail);
    if (stop->gate == gate) {
      return stop->no_verdict ? row.NoVerdict(stop->detail) : row.Reject(stop->detail);
    }
    // Oracle is settled before repeat is, and both before null.
    return stop->gate == Stop::Gate::kNull ? row.Pass(detail)
                                           : row.Finish(v1::Evidence::OUTCOME_UNSPECIFIED, "");
  };
  const Comparison& c = comparison_;
  std::string detail = std::to_string(c.fail_to_pass.size()) + " fail-to-pass, " +
                       std::to_string(c.error_to_pass.size()) + " error-to-pass, " +
                       std::to_string(c.pass_to_pass.size()) + " pass-to-pass in " +
                       CountOf(graded_.size(), "file") +
                       "; whole suite after: " + Tally(suite_after_);
  if (coarse_ > 0) detail += "; " + std::to_string(coarse_) + " of them coarse";
  if (!suite_varies_.empty()) {
    detail += "; " + CountOf(suite_varies_.size(), "test") +
              " outside the graded files varied: " + NameSome(suite_varies_);
  }
  std::string repeats = "3 runs agree";
  if (!c.flaky.empty()) {
    repeats = CountOf(c.flaky.size(), "test") + " varied and " +
              (c.flaky.size() == 1 ? "is" : "are") + " not judged: " + NameSome(c.flaky);
  }
  // The three gates share their runs' time: repeat and null have their own runs', oracle the rest.
  const auto time_of_runs = [](v1::Evidence& evidence) {
    int64_t wall_ms = 0;
    for (const auto& attempt : evidence.attempts()) wall_ms += attempt.verdict().wall_ms();
    evidence.set_wall_ms(wall_ms);
    return wall_ms;
  };
  OracleResult result;
  result.oracle = close(Stop::Gate::kOracle, oracle_, detail);
  result.repeat = close(Stop::Gate::kRepeat, repeat_, repeats);
  result.null = close(Stop::Gate::kNull, null_, "doing nothing scores 0, an empty answer scores 0");
  const int64_t others_ms =
      time_of_runs(result.repeat.evidence) + time_of_runs(result.null.evidence);
  result.oracle.evidence.set_wall_ms(
      std::max<int64_t>(0, result.oracle.evidence.wall_ms() - others_ms));
  result.expected = std::move(expected_);
  return result;
}

}  // namespace

OracleResult OracleGates(const GradingBench& bench, const Proposal& proposal,
                         const GateSettings& settings, std::stop_token stop) {
  return OracleRun(bench, proposal, settings, std::move(stop)).Go();
}

}  // namespace taskmint::verifier
