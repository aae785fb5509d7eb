// The gates over the real Python driver and real sandboxes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/verifier/python_bench.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
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
}

TEST_F(PythonTest, MutantsOfTheFixAreMeasured) {
  const GateResult result = MutationGate(Bench(), Expected(), proposal_, {}, {});
  EXPECT_NE(result.evidence.outcome(), v1::Evidence::OUTCOME_NO_VERDICT)
      << result.evidence.detail();
  EXPECT_GT(result.evidence.values().at("mutants"), 0);
}

// A host whose sandboxes die in the middle of the first runs, as a machine's do.
class DyingHost final : public sandbox::SandboxHost {
 public:
  DyingHost(sandbox::SandboxHost& host, int deaths) : host_(host), deaths_(deaths) {}
  Result<std::unique_ptr<sandbox::Sandbox>> Open(const sandbox::SandboxSpec& spec,
                                                 std::stop_token stop) override {
    if (deaths_-- <= 0) return host_.Open(spec, stop);
    sandbox::SandboxSpec starved = spec;
    starved.masked_paths.push_back("/usr/bin");  // the interpreter is away
    return host_.Open(starved, stop);
  }

 private:
  sandbox::SandboxHost& host_;
  int deaths_;
};

TEST_F(PythonTest, AMachineThatFailsIsNoVerdictAndNeverAZero) {
  GradingBench bench = Bench();
  DyingHost once(*host_, 1);
  GradingBench recovering{bench.driver, once, environment_, built_, proposal_.overlay, {}};
  EXPECT_EQ(Grade(recovering, Expected(), proposal_.gold_tree, {}).verdict.state(),
            v1::Verdict::STATE_PASS);
  DyingHost always(*host_, 1000);
  GradingBench broken{bench.driver, always, environment_, built_, proposal_.overlay, {}};
  EXPECT_EQ(Grade(broken, Expected(), proposal_.gold_tree, {}).verdict.state(),
            v1::Verdict::STATE_NO_VERDICT);
}

}  // namespace
}  // namespace taskmint::verifier
