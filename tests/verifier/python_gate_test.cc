// The gates over the real Python driver and real sandboxes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
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
  EXPECT_EQ(Grade(Bench(), Expected(), forger, {}, {Depth::kOneRun}).verdict.state(),
            v1::Verdict::STATE_PASS);
  const v1::Verdict verdict = GradeTree(forger);
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FORGED);
  EXPECT_THAT(verdict.reason(), StartsWith("twin run: "));
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
    EXPECT_TRUE(doctored->copies.empty()) << "test_called cannot be doctored and must pass";
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

TEST_F(PythonTest, ALoneTargetIsDoctoredBesideACopyThatPasses) {
  const std::string target = "tests/test_clamp.py::test_high";
  for (uint64_t draw = 0; draw < 3; ++draw) {
    const GradingBench bench = Bench();
    const auto doctored = bench.driver.Doctor(*host_, bench.overlay, {target}, {}, draw, {});
    ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
    EXPECT_THAT(doctored->failing, ElementsAre(target));
    ASSERT_EQ(doctored->copies.size(), 1U);
    GradingBench changed = bench;
    changed.overlay.Overlay(doctored->files);
    Observer observer(changed, proposal_.gold_tree);
    const Observation seen = observer.Observe({"tests/test_clamp.py"}, {}, 60'000, {});
    EXPECT_EQ(seen.tests.at(target), v1::TEST_STATUS_FAILED);
    EXPECT_EQ(seen.tests.at(doctored->copies[0]), v1::TEST_STATUS_PASSED);
    EXPECT_EQ(seen.tests.size(), 4U);
  }
}

TEST_F(PythonTest, ExpectationsAreTurnedAndWhatMayForgiveIsLeftAlone) {
  const std::string head = "import unittest\n\nimport pytest\nfrom bounds import clamp\n\n\n";
  const std::pair<const char*, bool> tests[] = {
      {"def test_x():\n    assert clamp(9, 2, 3) == 3\n", true},
      {"def test_x():\n    assert 'three' == 'three', 'text'\n", true},
      {"def test_x():\n    assert {'a': [clamp(1, 2, 3)]} == {'a': [2]}\n", true},
      {"def test_x():\n    assert not (clamp(1, 2, 3) is None)\n", true},
      {"def test_x():\n    assert (\n        clamp(1, 2, 3)\n        and clamp\n    )\n", true},
      {"def test_x():\n    assert clamp(1, 2, 3) in (2, 3)\n", true},
      {"def test_x():\n    with pytest.raises(ValueError, match='x'):\n        int('x')\n", true},
      {"def test_x():\n    low = clamp(1, 2, 3)\n    low += 1\n", true},
      {"def test_x(): clamp(1, 2, 3)\n", true},
      {"def test_x():\r\n    assert clamp(1, 2, 3) == 2\r\n\f\r\n", true},
      {"def test_x():\n    text = '\u2028'; assert '\u00fc' == '\u00fc'\n", true},
      {"def test_x():\n    if clamp(1, 2, 3):\n        return\n", true},
      {"class TestX(unittest.TestCase):\n    def test_x(self):\n"
       "        self.assertEqual(clamp(1, 2, 3), 2)\n",
       true},
      {"@pytest.mark.parametrize('n', [1, 2])\ndef test_x(n):\n    assert clamp(n, 0, 3) == n\n",
       true},
      {"@pytest.mark.xfail\ndef test_x():\n    assert clamp(1, 2, 3) == 2\n", false},
      {"@pytest.mark.xfail\nclass TestX:\n    def test_x(self):\n        assert True\n", false},
      {"pytestmark = pytest.mark.xfail\n\n\ndef test_x():\n    assert True\n", false},
      {"@pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.xfail), 2])\n"
       "def test_x(n):\n    assert n\n",
       false},
  };
  std::vector<std::string> files;
  proposal_.overlay = FileTree();
  for (const auto& test : tests) {
    files.push_back("tests/test_" + std::to_string(files.size()) + ".py");
    ASSERT_TRUE(proposal_.overlay.Set(files.back(), RegularFile(head + test.first)).ok());
  }
  const GradingBench bench = Bench();
  Observer before(bench, proposal_.gold_tree);
  std::map<std::string, std::vector<std::string>> ids;
  for (const auto& [id, status] : before.Observe(files, {}, 60'000, {}).tests) {
    ids[id.substr(0, id.find("::"))].push_back(id);
    EXPECT_EQ(status, v1::TEST_STATUS_PASSED) << id << ": a lenient xfail is reported passed";
  }
  GradingBench changed = bench;
  std::map<std::string, v1::TestStatus> must;
  for (size_t i = 0; i < files.size(); ++i) {
    SCOPED_TRACE(tests[i].first);
    const auto doctored = bench.driver.Doctor(*host_, bench.overlay, ids[files[i]], {}, 1, {});
    ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
    EXPECT_EQ(doctored->failing.size(), tests[i].second ? ids[files[i]].size() : 0U);
    changed.overlay.Overlay(doctored->files);
    for (const std::string& id : doctored->failing) must[id] = v1::TEST_STATUS_FAILED;
    for (const std::string& id : doctored->untouched) must[id] = v1::TEST_STATUS_PASSED;
    for (const std::string& id : doctored->copies) must[id] = v1::TEST_STATUS_PASSED;
  }
  Observer after(changed, proposal_.gold_tree);
  EXPECT_EQ(after.Observe(files, {}, 60'000, {}).tests, must);
}

TEST_F(PythonTest, WhatAFailingTestLeavesUndoneDoesNotHarmTheFix) {
  SetTests(
      "\n\nSTATE = []\n\n\ndef test_state():\n    STATE.append(1)\n"
      "    assert clamp(9, 2, 3) == 3\n    STATE.clear()\n\n\n"
      "def test_clean():\n    assert STATE == []\n    assert clamp(9, 2, 3) == 3\n");
  v1::TestVerifier expected = Expected();
  expected.add_fail_to_pass("tests/test_clamp.py::test_clean");
  expected.add_fail_to_pass("tests/test_clamp.py::test_state");
  for (int i = 0; i < 4; ++i) {
    const TwinResult twin = RunTwin(Bench(), expected, proposal_.gold_tree, {});
    EXPECT_EQ(twin.state, v1::Verdict::STATE_PASS) << twin.reason;
    EXPECT_EQ(twin.runs, 1);
  }
}

TEST_F(PythonTest, EveryTestCommandGradesAnHonestFix) {
  for (const char* command :
       {"pytest -x", "pytest --maxfail=1", "pytest -k clamp", "pytest -m 'not slow'",
        "python -m pytest -k 'not low' -m \"not network\"",
        "python -m pytest tests; exit $((2 * $?))"}) {
    SCOPED_TRACE(command);
    environment_.set_test_command(command);
    const v1::Verdict gold = GradeTree(proposal_.gold_tree);
    EXPECT_EQ(gold.state(), v1::Verdict::STATE_PASS) << gold.reason();
    EXPECT_EQ(GradeTree(proposal_.parent_tree).state(), v1::Verdict::STATE_FAIL);
    EXPECT_EQ(GradeTree(WithCode(kEveryReportPasses)).state(), v1::Verdict::STATE_FORGED);
  }
}

TEST_F(PythonTest, APackageThatCannotBeImportedIsAFailAndNoForgery) {
  const v1::Verdict verdict = GradeTree(WithCode("raise ImportError('broken')\n"));
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FAIL) << verdict.reason();
  EXPECT_THAT(verdict.reason(), HasSubstr("could not be collected or built"));
}

TEST_F(PythonTest, EveryCheaterOfTheDriverScoresZero) {
  const GateResult result = CheatersGate(Bench(), Expected(), proposal_, {}, {});
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << result.evidence.detail();
  EXPECT_GT(result.evidence.values().at("cheaters"), 10);
  EXPECT_GT(result.evidence.values().at("forged"), 0);
  for (const auto& attempt : result.evidence.attempts()) {
    if (attempt.name() == "reporter-by-name" || attempt.name() == "swallowed-when-called") {
      EXPECT_THAT(attempt.verdict().reason(), StartsWith("twin run: a test that was made to fail"));
    }
    if (attempt.name() == "reporter-by-content") {
      EXPECT_THAT(attempt.verdict().reason(), StartsWith("twin run: "));
    }
    if (attempt.name() == "swallowed-by-look") {
      EXPECT_THAT(attempt.verdict().reason(), StartsWith("the report is false"));
    }
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
