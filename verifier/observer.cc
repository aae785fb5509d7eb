#include <string.h>

#include <algorithm>
#include <utility>

#include "proto/base/random.h"
#include "proto/base/utf8.h"
#include "verifier/grading.h"
#include "verifier/junit.h"

namespace taskmint::verifier {
namespace {

using environments::SentinelFile;
using environments::TestRun;
using environments::TestRunOutput;
using Trust = Observation::Trust;

v1::TestStatus StatusOfName(std::string_view name) {
  if (name == "passed") return v1::TEST_STATUS_PASSED;
  if (name == "failed") return v1::TEST_STATUS_FAILED;
  if (name == "error") return v1::TEST_STATUS_ERROR;
  if (name == "skipped") return v1::TEST_STATUS_SKIPPED;
  return v1::TEST_STATUS_UNSPECIFIED;
}

std::string_view NameOfStatus(v1::TestStatus status) {
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

// Why a run that did not exit by itself has no report; nothing when it exited.
std::optional<std::string> Interruption(const TestRunOutput& output, int64_t wall_ms_max) {
  switch (output.ending) {
    case sandbox::Ending::kExited:
      return std::nullopt;
    case sandbox::Ending::kSignalled: {
      const char* name = ::sigabbrev_np(output.signal);
      return "killed by signal " + std::to_string(output.signal) +
             (name == nullptr ? "" : std::string(" (SIG") + name + ")");
    }
    case sandbox::Ending::kWallTime:
      return "ran past " + std::to_string((wall_ms_max + 999) / 1000) + " s";
    case sandbox::Ending::kCpuTime:
      return std::string("used more CPU time than allowed");
    case sandbox::Ending::kOutput:
      return std::string("wrote more output than allowed");
    case sandbox::Ending::kMemory:
      return std::string("used more memory than allowed");
    case sandbox::Ending::kCancelled:
      return std::string("cancelled");
  }
  return std::string("ended in an unknown way");
}

// What became of the sentinels of a run.
struct SentinelCheck {
  int misreported = 0;
  int missing = 0;
  int reported = 0;
  int uncollected = 0;  // files that were in error before any test
  bool failing_reported = false;
  std::string first;  // what is wrong with the first wrong one
};

// Removes a sentinel file's tests from `tests` and compares them with what they must be. With
// `may_be_absent` a file of which nothing is reported is none.
void CheckSentinel(const SentinelFile& sentinel, bool may_be_absent,
                   std::map<std::string, v1::TestStatus>& tests, SentinelCheck& check) {
  const auto reported = [&](const auto& test) { return tests.count(test.first) > 0; };
  if (may_be_absent && std::none_of(sentinel.expected.begin(), sentinel.expected.end(), reported)) {
    return;
  }
  const auto collected = tests.find(sentinel.path);
  if (collected != tests.end() && collected->second == v1::TEST_STATUS_ERROR &&
      std::none_of(sentinel.expected.begin(), sentinel.expected.end(), reported)) {
    ++check.uncollected;
  }
  for (const auto& [id, name] : sentinel.expected) {
    const auto found = tests.find(id);
    const bool missing = found == tests.end();
    const v1::TestStatus must = StatusOfName(name);
    const bool right = !missing && found->second == must;
    check.missing += missing ? 1 : 0;
    check.reported += missing ? 0 : 1;
    check.misreported += !missing && !right ? 1 : 0;
    check.failing_reported |= right && Severity(must) > Severity(v1::TEST_STATUS_SKIPPED);
    if (!right && check.first.empty()) {
      check.first = "a test that must be " + name + " was reported " +
                    std::string(missing ? "missing" : NameOfStatus(found->second));
    }
    if (!missing) tests.erase(found);
  }
  // Whatever else is reported of the file, such as a collection error, is the verifier's as well.
  for (auto it = tests.lower_bound(sentinel.path);
       it != tests.end() && it->first.starts_with(sentinel.path);) {
    it = tests.erase(it);
  }
}

// Trust and reason from the sentinels and the exit code.
void JudgeTrust(const SentinelCheck& check, int exit_code, bool runners_code, bool whole_suite,
                Observation& observation) {
  const std::string code = std::to_string(exit_code);
  observation.trust = Trust::kForged;
  if (check.misreported > 0) {
    observation.reason = "the report is false: " + check.first;
  } else if (check.uncollected > 0 && exit_code != 0) {
    observation.trust = Trust::kNoReport;
    observation.reason =
        "tests added beside these, with their imports or includes, could not be collected or built";
  } else if (whole_suite && !check.failing_reported) {
    observation.trust = (exit_code <= 1 || !runners_code) && !observation.tests.empty()
                            ? Trust::kTrusted
                            : Trust::kNoReport;
    if (observation.trust != Trust::kTrusted) {
      observation.reason = "the run ended with exit code " + code + " and reported " +
                           std::to_string(observation.tests.size()) + " tests";
    }
  } else if (exit_code == 0) {
    observation.reason = "exit code 0, although a test that must fail was among the tests";
  } else if (exit_code != 1 && (runners_code || !check.failing_reported)) {
    observation.trust = Trust::kNoReport;
    observation.reason = "the run was cut short with exit code " + code;
  } else if (check.missing > 0 && !whole_suite) {
    observation.reason = "the report is incomplete: " + check.first;
  } else {
    observation.trust = Trust::kTrusted;
  }
}

}  // namespace

struct Observer::Impl {
  const GradingBench& bench;
  FileTree state;
  std::unique_ptr<environments::TestSession> session;
  std::string digest;
  int64_t sandboxes = 0;
  int64_t runs = 0;

  Impl(const GradingBench& the_bench, FileTree the_state)
      : bench(the_bench), state(std::move(the_state)) {}

  // Test files that a run collects from, for sentinels to stand beside.
  std::vector<std::string> FilesOf(const std::vector<std::string>& files) const {
    if (!files.empty()) return files;
    std::vector<std::string> all;
    for (const auto& [path, entry] : state.files()) {
      if (bench.driver.IsTestFile(path)) all.push_back(path);
    }
    return all;
  }

  // Sentinels whose paths are free; empty when the driver cannot draw any.
  std::vector<SentinelFile> Draw(const std::vector<std::string>& files) const {
    for (int attempt = 0; attempt < 8; ++attempt) {
      auto sentinels = bench.driver.DrawSentinels(bench.overlay, FilesOf(files), SystemRandom());
      const bool taken =
          std::any_of(sentinels.begin(), sentinels.end(), [&](const SentinelFile& sentinel) {
            return state.Contains(sentinel.path) || !IsTreePath(sentinel.path);
          });
      if (!taken) return sentinels;
    }
    return {};
  }

  Status Open(std::stop_token stop);
  Observation Once(const TestRun& asked, std::stop_token stop);
  // Once more in a fresh sandbox when the infrastructure fails.
  Observation Observe(const TestRun& asked, std::stop_token stop);
  Observation Read(const TestRunOutput& output, const std::vector<SentinelFile>& sentinels,
                   const TestRun& run, const std::stop_token& stop);
};

Status Observer::Impl::Open(std::stop_token stop) {
  if (session != nullptr) return OkStatus();
  TASKMINT_ASSIGN_OR_RETURN(session, bench.driver.OpenSession(bench.sandboxes, bench.environment,
                                                              bench.built, state, stop));
  ++sandboxes;
  return OkStatus();
}

Observation Observer::Impl::Once(const TestRun& asked, std::stop_token stop) {
  Observation observation;
  if (const Status opened = Open(stop); !opened.ok()) {
    observation.reason = opened.message();
    return observation;
  }
  const std::vector<SentinelFile> sentinels = Draw(asked.files);
  if (sentinels.empty()) {
    observation.reason = "no sentinels could be drawn for this repository";
    return observation;
  }
  TestRun run = asked;
  for (const SentinelFile& sentinel : sentinels) {
    TASKMINT_CHECK(run.added.Set(sentinel.path, RegularFile(sentinel.content)).ok());
    if (asked.files.empty()) continue;
    const auto place =
        static_cast<std::ptrdiff_t>(Random(SystemRandom()).Below(run.files.size() + 1));
    run.files.insert(run.files.begin() + place, sentinel.path);
  }
  ++runs;
  auto output = session->Run(run, stop);
  if (!output.ok() || output->ending == sandbox::Ending::kCancelled) {
    session.reset();
    observation.reason = output.ok() ? "cancelled" : output.status().message();
    return observation;
  }
  return Read(*output, sentinels, run, stop);
}

Observation Observer::Impl::Read(const TestRunOutput& output,
                                 const std::vector<SentinelFile>& sentinels, const TestRun& run,
                                 const std::stop_token& stop) {
  Observation observation;
  observation.log = output.log;
  observation.built = output.built;
  observation.wall_ms = output.wall_ms;
  observation.cpu_ms = output.cpu_ms;
  observation.trust = Trust::kNoReport;
  if (const auto interruption = Interruption(output, run.wall_ms_max)) {
    observation.reason = "the test run " + *interruption;
    return observation;
  }
  if (!output.junit_xml.has_value()) {
    observation.reason =
        "the test run exited with code " + std::to_string(output.exit_code) + " before reporting";
    return observation;
  }
  const auto report = ParseJUnit(*output.junit_xml);
  if (!report.ok()) {
    observation.reason = report.status().message();
    return observation;
  }
  // Ids are of the files of the run, which are the session's and the sentinels.
  for (const auto& [path, entry] : run.added.files()) TASKMINT_CHECK(state.Set(path, entry).ok());
  const auto names = bench.driver.NamesOfTests(state);
  for (const JUnitCase& test : report->cases) {
    if (stop.stop_requested()) {
      observation.trust = Trust::kNoVerdict;
      observation.reason = "cancelled";
      break;
    }
    std::string id = names->Id(test.file, test.class_name, test.name);
    if (id.empty()) continue;
    const auto [place, fresh] = observation.tests.emplace(ToUtf8(id), test.status);
    if (!fresh && Severity(test.status) > Severity(place->second)) place->second = test.status;
  }
  for (const auto& [path, entry] : run.added.files()) state.Remove(path);
  if (observation.trust == Trust::kNoVerdict) return observation;
  // Sentinels are listed in a run of named files.
  const bool whole_suite = run.files.empty();
  SentinelCheck check;
  for (const SentinelFile& sentinel : sentinels) {
    CheckSentinel(sentinel, whole_suite, observation.tests, check);
  }
  const bool runners_code = bench.driver.StartsRunner(bench.environment.test_command());
  JudgeTrust(check, output.exit_code, runners_code, whole_suite, observation);
  return observation;
}

Observation Observer::Impl::Observe(const TestRun& asked, std::stop_token stop) {
  Observation observation = Once(asked, stop);
  if (observation.trust == Trust::kNoVerdict && !stop.stop_requested()) {
    session.reset();
    observation = Once(asked, stop);
  }
  observation.reason = CutMiddle(Printable(observation.reason), 600);
  return observation;
}

Observer::Observer(const GradingBench& bench, const FileTree& solution)
    : impl_(std::make_unique<Impl>(bench, GradedState(bench, solution))) {}
Observer::~Observer() = default;

void Observer::Open(std::stop_token stop) { (void)impl_->Open(std::move(stop)); }

Observation Observer::Observe(const std::vector<std::string>& files,
                              std::optional<uint64_t> shuffle_seed, int64_t wall_ms_max,
                              std::stop_token stop) {
  return impl_->Observe({files, {}, shuffle_seed, {}, wall_ms_max}, std::move(stop));
}

Observation Observer::ObserveTests(const std::vector<std::string>& files,
                                   const std::vector<std::string>& tests, int64_t wall_ms_max,
                                   std::stop_token stop) {
  return impl_->Observe({files, tests, std::nullopt, {}, wall_ms_max}, std::move(stop));
}

const std::string& Observer::state_digest() const {
  if (impl_->digest.empty()) impl_->digest = TreeDigest(impl_->state);
  return impl_->digest;
}

int64_t Observer::sandboxes() const { return impl_->sandboxes; }
int64_t Observer::runs() const { return impl_->runs; }

}  // namespace taskmint::verifier
