// The gates over the real Python driver and real sandboxes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/verifier/python_bench.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Trust = Observation::Trust;

std::vector<std::string> Ids(const google::protobuf::RepeatedPtrField<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

TEST_F(PythonTest, TheFixPassesAndDoingNothingFails) {
  const v1::Verdict gold = GradeTree(proposal_.gold_tree);
  EXPECT_EQ(gold.state(), v1::Verdict::STATE_PASS) << gold.reason();
  const v1::Verdict null = GradeTree(proposal_.parent_tree);
  EXPECT_EQ(null.state(), v1::Verdict::STATE_FAIL);
  EXPECT_EQ(null.reason(), "1 of 3 tests did not pass: tests/test_clamp.py::test_high");
  EXPECT_EQ(GradeTree(proposal_.gold_tree).digest(), gold.digest());
}

TEST_F(PythonTest, ARepositoryMayBeAPackageThatTheRunnerKnowsButNotPlantOne) {
  const auto rename = [](const FileTree& tree) {
    FileTree renamed;
    for (const auto& [path, entry] : tree.files()) {
      const bool package = path.starts_with("bounds/");
      std::string text = *entry.content;
      if (const size_t at = text.find("from bounds"); at != std::string::npos) {
        text.replace(at, 11, "from more_itertools");
      }
      EXPECT_TRUE(
          renamed.Set(package ? "more_itertools" + path.substr(6) : path, RegularFile(text)).ok());
    }
    return renamed;
  };
  proposal_.parent_tree = rename(proposal_.parent_tree);
  proposal_.gold_tree = rename(proposal_.gold_tree);
  proposal_.overlay = rename(proposal_.overlay);
  const v1::Verdict gold = GradeTree(proposal_.gold_tree);
  EXPECT_EQ(gold.state(), v1::Verdict::STATE_PASS) << gold.reason();
  FileTree planted = proposal_.gold_tree;
  ASSERT_TRUE(planted.Set("pluggy.py", RegularFile("raise SystemExit(0)\n")).ok());
  EXPECT_FALSE(GradedState(Bench(), planted).Contains("pluggy.py"));
}

TEST_F(PythonTest, TheOracleAcceptsAnHonestFix) {
  SetTests("\n\ndef test_flags():\n    import pytest\n    pytest.skip('later')\n");
  const OracleResult result = OracleGates(Bench(), proposal_, {}, {});
  for (const auto* gate : {&result.oracle, &result.null, &result.repeat}) {
    EXPECT_EQ(gate->evidence.outcome(), v1::Evidence::OUTCOME_PASSED)
        << gate->evidence.gate() << ": " << gate->evidence.detail();
  }
  EXPECT_THAT(Ids(result.expected.fail_to_pass()), ElementsAre("tests/test_clamp.py::test_high"));
  EXPECT_THAT(Ids(result.expected.pass_to_pass()),
              ElementsAre("tests/test_clamp.py::test_low", "tests/test_clamp.py::test_within"));
  EXPECT_THAT(Ids(result.expected.unjudged()), ElementsAre("tests/test_clamp.py::test_flags"));
  EXPECT_EQ(result.oracle.evidence.values().at("sandboxes"), 4);
  EXPECT_GT(result.oracle.evidence.values().at("doctored"), 0);
  EXPECT_EQ(result.oracle.evidence.values().at("suite_tests"), 5);
}

TEST_F(PythonTest, ATestThatNeedsItsPlaceIsDroppedAndAFlippingTargetIsFlaky) {
  SetTests("\n\nSEEN = []\n\n\n" + [] {
    std::string tests;
    for (int i = 0; i < 12; ++i) {
      const std::string n = std::to_string(i);
      tests += "def test_order_" + n + "():\n    SEEN.append(" + n + ")\n    assert SEEN[-2:] " +
               (i == 0 ? "== [0]" : "== [" + std::to_string(i - 1) + ", " + n + "]") + "\n\n\n";
    }
    return tests;
  }());
  const OracleResult ordered = OracleGates(Bench(), proposal_, {}, {});
  EXPECT_EQ(RejectionReason(ordered.repeat.evidence), "");
  EXPECT_GT(ordered.repeat.evidence.values().at("flaky_pass_to_pass"), 0);
  EXPECT_THAT(ordered.repeat.evidence.detail(), HasSubstr("test_order_"));

  // Of a fresh process: random is seeded, the clock is not.
  SetTests(
      "\n\ndef test_moody():\n    import time\n    assert clamp(9, 2, 3) == 3\n"
      "    assert time.perf_counter_ns() // 1000 % 2\n");
  bool flaky = false;
  for (int i = 0; i < 4 && !flaky; ++i) {
    const OracleResult result = OracleGates(Bench(), proposal_, {}, {});
    flaky = result.repeat.evidence.outcome() == v1::Evidence::OUTCOME_REJECTED;
    if (flaky) {
      EXPECT_THAT(RejectionReason(result.repeat.evidence), HasSubstr("test_moody"));
    }
  }
  EXPECT_TRUE(flaky);
}

TEST_F(PythonTest, RunsThatEndEarlyFailAndSayHow) {
  environment_.mutable_limits()->set_wall_ms_max(8'000);
  const std::pair<const char*, const char*> runs[] = {
      {"import os\nos._exit(0)\n", "exited with code 0 before reporting"},
      {"import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"},
      {"while True: pass\n", "ran past 8 s"},
      {"import pytest\npytest.exit('enough', 0)\n", ""},
  };
  for (const auto& [code, reason] : runs) {
    const v1::Verdict verdict = GradeTree(WithCode(code));
    EXPECT_NE(verdict.state(), v1::Verdict::STATE_NO_VERDICT) << code;
    EXPECT_EQ(verdict.score(), 0) << code;
    EXPECT_THAT(verdict.reason(), HasSubstr(reason));
  }
}

constexpr char kEveryReportPasses[] =
    "import _pytest.reports as r\n"
    "make = r.TestReport.from_item_and_call.__func__\n"
    "def lie(cls, item, call):\n"
    "    report = make(cls, item, call)\n"
    "    report.outcome, report.longrepr = 'passed', None\n"
    "    return report\n"
    "r.TestReport.from_item_and_call = classmethod(lie)\n";

TEST_F(PythonTest, APatchedReporterIsForgedAndWithoutTheSentinelsWouldPass) {
  EXPECT_EQ(GradeTree(WithCode(kEveryReportPasses)).state(), v1::Verdict::STATE_FORGED);
  // The same run with nobody looking at the sentinels.
  const GradingBench bench = Bench();
  Observer observer(bench, WithCode(kEveryReportPasses));
  Observation observation = observer.Observe({"tests/test_clamp.py"}, {}, 60'000, {});
  EXPECT_EQ(observation.trust, Trust::kForged) << observation.reason;
  observation.trust = Trust::kTrusted;
  EXPECT_EQ(Judge(observation, Expected(), "").state(), v1::Verdict::STATE_PASS);
}

// Lies about the files that the history shows, and is honest about all others.
constexpr char kKnownFilesPass[] =
    "import _pytest.reports as r\n"
    "make = r.TestReport.from_item_and_call.__func__\n"
    "def lie(cls, item, call):\n"
    "    report = make(cls, item, call)\n"
    "    if 'test_clamp' in item.nodeid and report.when == 'call':\n"
    "        item.session.testsfailed -= report.outcome == 'failed'\n"
    "        report.outcome, report.longrepr = 'passed', None\n"
    "    return report\n"
    "r.TestReport.from_item_and_call = classmethod(lie)\n";

TEST_F(PythonTest, AForgerByFileIsFoundByTheTwinAndPassesWithoutIt) {
  const FileTree forger = WithCode(kKnownFilesPass);
  EXPECT_EQ(Grade(Bench(), Expected(), forger, {}, Depth::kOneRun).verdict.state(),
            v1::Verdict::STATE_PASS);
  const v1::Verdict verdict = GradeTree(forger);
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FORGED);
  EXPECT_THAT(verdict.reason(), HasSubstr("test_clamp.py"));
}

TEST_F(PythonTest, DoctoredTestsFailAndTheOthersAreAsTheyWere) {
  SetTests(
      "\n\nclass Base:\n    limit = 3\n\n    def test_limit(self):\n"
      "        \"\"\"Holds.\"\"\"\n        if not self.limit:\n            return\n"
      "        assert clamp(9, 0, self.limit) == self.limit\n\n\n"
      "class TestTwo(Base):\n    limit = 2\n\n    def test_one_line(self): n = 1; assert n\n\n\n"
      "class TestThree(Base):\n    pass\n\n\n"
      "def test_called():\n    pass\n\n\ndef test_caller():\n    test_called()\n");
  const std::string file = "tests/test_clamp.py::";
  const std::vector<std::string> targets = {file + "TestTwo::test_limit", file + "test_high",
                                            file + "TestTwo::test_one_line", file + "test_called"};
  const std::vector<std::string> others = {file + "TestThree::test_limit", file + "test_low",
                                           file + "test_caller", file + "test_absent"};
  for (uint64_t draw = 0; draw < 8; ++draw) {
    const GradingBench bench = Bench();
    const auto doctored = bench.driver.Doctor(*host_, bench.overlay, targets, others, draw, {});
    ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
    EXPECT_FALSE(doctored->failing.empty());
    EXPECT_EQ(doctored->failing.size() + doctored->untouched.size(), 7U);
    GradingBench changed = bench;
    changed.overlay.Overlay(doctored->files);
    Observer observer(changed, proposal_.gold_tree);
    const Observation seen = observer.Observe({"tests/test_clamp.py"}, {}, 60'000, {});
    ASSERT_EQ(seen.trust, Trust::kTrusted) << seen.reason << seen.log;
    for (const std::string& id : doctored->failing) {
      EXPECT_EQ(seen.tests.at(id), v1::TEST_STATUS_FAILED) << id;
      EXPECT_NE(id, file + "test_called");
    }
    for (const std::string& id : doctored->untouched) {
      EXPECT_EQ(seen.tests.at(id), v1::TEST_STATUS_PASSED) << id;
    }
  }
}

TEST_F(PythonTest, EveryCheaterOfTheDriverScoresZero) {
  const GateResult result = CheatersGate(Bench(), Expected(), proposal_, {}, {});
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << result.evidence.detail();
  EXPECT_GT(result.evidence.values().at("cheaters"), 10);
  EXPECT_GT(result.evidence.values().at("forged"), 0);
  for (const auto& attempt : result.evidence.attempts()) {
    if (attempt.name() != "reporter-by-name") continue;
    EXPECT_THAT(attempt.verdict().reason(), StartsWith("twin run: a test that was made to fail"));
  }
}

TEST_F(PythonTest, MutantsOfTheFixAreMeasured) {
  const GateResult result = MutationGate(Bench(), Expected(), proposal_, {}, {});
  EXPECT_NE(result.evidence.outcome(), v1::Evidence::OUTCOME_NO_VERDICT)
      << result.evidence.detail();
  EXPECT_GT(result.evidence.values().at("mutants"), 0);
}

// Kills every sandbox of this process, again and again, as a failing machine does.
class SandboxKiller {
 public:
  SandboxKiller() {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        for (const pid_t pid : Sandboxes()) killed_ += ::kill(pid, SIGKILL) == 0 ? 1 : 0;
      }
    });
  }
  int killed() const { return killed_; }

 private:
  // Bubblewraps among our descendants.
  static std::vector<pid_t> Sandboxes() {
    std::map<pid_t, std::pair<pid_t, std::string>> processes;  // parent and name
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "stat");
      std::string text;
      if (!std::getline(file, text)) continue;
      const size_t open = text.find('(');
      const size_t close = text.rfind(')');
      if (open == std::string::npos || close == std::string::npos) continue;
      processes[std::atoi(text.c_str())] = {std::atoi(text.c_str() + close + 4),
                                            text.substr(open + 1, close - open - 1)};
    }
    std::vector<pid_t> found;
    for (const auto& [pid, process] : processes) {
      if (process.second != "bwrap") continue;
      pid_t above = pid;
      for (int depth = 0; depth < 20 && above > 1 && above != ::getpid(); ++depth) {
        above = processes.count(above) > 0 ? processes.at(above).first : 0;
      }
      if (above == ::getpid()) found.push_back(pid);
    }
    return found;
  }

  std::atomic<int> killed_{0};
  std::jthread thread_;
};

TEST_F(PythonTest, ASandboxKilledInMidRunIsNoVerdictAndNeverAZero) {
  SandboxKiller killer;
  const v1::Verdict verdict = GradeTree(WithCode("import time\ntime.sleep(30)\n"));
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_NO_VERDICT) << verdict.reason();
  EXPECT_GE(killer.killed(), 2) << "the run was tried once more";
}

TEST_F(PythonTest, AnEnvironmentThatDoesNotStartIsNoVerdict) {
  built_.layers.clear();
  EXPECT_EQ(GradeTree(proposal_.gold_tree).state(), v1::Verdict::STATE_NO_VERDICT);
}

}  // namespace
}  // namespace taskmint::verifier
