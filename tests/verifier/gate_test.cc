#include "verifier/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/base/utf8.h"
#include "tests/verifier/fake_driver.h"
#include "verifier/comparison.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kSha[] = "0123456789abcdef0123456789abcdef01234567";
constexpr char kParentSha[] = "89abcdef0123456789abcdef0123456789abcdef";

class GateTest : public testing::Test {
 protected:
  GateTest() {
    proposal_.commit.sha = kSha;
    proposal_.commit.parents = {kParentSha};
    proposal_.commit.author_time_s = 1;
    proposal_.parent_tree = Tree({{"src/a", "old\n"}, {"src/b", "same\n"}});
    proposal_.gold_tree = Tree({{"src/a", "FIX\n"}, {"src/b", "same\n"}});
    proposal_.gold_patch = "+++ b/src/a\n-old\n+FIX\n";
    proposal_.prompt.set_text("The widget does not turn when it is pushed.");
    proposal_.prompt.set_source(v1::Prompt::SOURCE_ISSUE);
    proposal_.licence.set_spdx_id("unknown");
    proposal_.test_files = {"tests/a.t"};
    SetTests("target: needs FIX\nalways: passed\nskip: skipped\nimported: import FIX\n");
  }

  void SetTests(const std::string& graded, const std::string& other = "other: passed\n") {
    proposal_.overlay = Tree({{"tests/a.t", graded}, {"tests/b.t", other}});
  }
  GradingBench Bench() const {
    return {
        driver_, host_, {}, {}, proposal_.overlay, proposal_.removed_paths, proposal_.parent_tree};
  }
  OracleResult Oracle(const GateSettings& settings = {}) const {
    return OracleGates(Bench(), proposal_, settings, {});
  }
  // The reason of the first gate that rejects.
  std::string OracleReason(const GateSettings& settings = {}) const {
    const OracleResult result = Oracle(settings);
    for (const auto* gate : {&result.oracle, &result.null, &result.repeat}) {
      if (const auto reason = RejectionReason(gate->evidence); !reason.empty()) return reason;
    }
    return "";
  }
  void AddAltered(std::vector<environments::AlteredSolution>& list, const std::string& name,
                  const std::string& source) {
    list.push_back({name, Tree({{"src/a", source}})});
  }
  static std::vector<std::string> Ids(const google::protobuf::RepeatedPtrField<std::string>& ids) {
    return {ids.begin(), ids.end()};
  }

  FakeDriver driver_;
  mutable NoSandboxHost host_;
  environments::Proposal proposal_;
};

TEST_F(GateTest, AnHonestFixPassesTheOracleAndFillsTheVerifierRecord) {
  const OracleResult result = Oracle();
  EXPECT_EQ(result.oracle.evidence.outcome(), v1::Evidence::OUTCOME_PASSED)
      << result.oracle.evidence.detail();
  EXPECT_EQ(result.null.evidence.outcome(), v1::Evidence::OUTCOME_PASSED);
  EXPECT_EQ(result.repeat.evidence.outcome(), v1::Evidence::OUTCOME_PASSED);
  EXPECT_THAT(Ids(result.expected.fail_to_pass()), ElementsAre("tests/a.t::target"));
  EXPECT_THAT(Ids(result.expected.error_to_pass()), ElementsAre("tests/a.t::imported"));
  EXPECT_THAT(Ids(result.expected.pass_to_pass()), ElementsAre("tests/a.t::always"));
  EXPECT_THAT(Ids(result.expected.unjudged()), ElementsAre("tests/a.t::skip"));
  EXPECT_THAT(Ids(result.expected.graded_files()), ElementsAre("tests/a.t"));
  const auto& values = result.oracle.evidence.values();
  EXPECT_EQ(values.at("fail_to_pass"), 1);
  EXPECT_EQ(values.at("suite_tests"), 5);
  for (const auto& attempt : result.repeat.evidence.attempts()) {
    EXPECT_EQ(attempt.verdict().score(), 1) << attempt.name();
    EXPECT_EQ(attempt.verdict().tests_size(), 0);
  }
  EXPECT_EQ(result.oracle.evidence.attempts(0).verdict().score(), 0);
}

TEST_F(GateTest, NothingIsSetUpTwice) {
  const OracleResult result = Oracle();
  EXPECT_EQ(driver_.opened, 4);  // before, after, its twin, the empty answer
  EXPECT_EQ(driver_.runs, 10);   // 1 + 3, the suite twice, the twin, the target twice, empty answer
  EXPECT_EQ(result.oracle.evidence.values().at("sandboxes"), 4);  // one parses tests
  EXPECT_EQ(result.oracle.evidence.values().at("runs"), 7);
  EXPECT_EQ(result.repeat.evidence.values().at("runs"), 2);
  EXPECT_EQ(result.null.evidence.values().at("runs"), 1);
}

TEST_F(GateTest, WithoutAFailToPassTestTheSuiteIsNotRun) {
  SetTests("always: passed\nimported: import FIX\n");
  EXPECT_EQ(OracleReason(),
            "oracle: no test fails before and passes after the fix (1 test only in error or "
            "missing before)");
  EXPECT_EQ(driver_.runs, 2);
}

TEST_F(GateTest, PassToFailInTheGradedFilesRejects) {
  SetTests("target: needs FIX\nbroken: without FIX\n");
  EXPECT_EQ(OracleReason(),
            "oracle: 1 test passes before and fails after the fix: tests/a.t::broken");
}

TEST_F(GateTest, PassToFailElsewhereRejectsOnceConfirmed) {
  SetTests("target: needs FIX\n", "broken: without FIX\nworse: without FIX\n");
  EXPECT_THAT(OracleReason(), StartsWith("oracle: 2 tests outside the test patch pass before"));
}

TEST_F(GateTest, PassToFailElsewhereThatVariesIsEvidenceOnly) {
  SetTests("target: needs FIX\n", "moody: crowded FIX\nother: passed\n");
  const OracleResult result = Oracle();
  EXPECT_EQ(result.oracle.evidence.outcome(), v1::Evidence::OUTCOME_PASSED)
      << result.oracle.evidence.detail();
  EXPECT_EQ(result.oracle.evidence.values().at("suite_varies"), 1);
  EXPECT_THAT(result.oracle.evidence.detail(), HasSubstr("varied: tests/b.t::moody"));
  EXPECT_EQ(driver_.opened, 4);
}

TEST_F(GateTest, AFileWithAFailToPassTestElsewhereIsGraded) {
  SetTests("target: needs FIX\n", "also: needs FIX\nother: passed\n");
  const OracleResult result = Oracle();
  EXPECT_EQ(result.oracle.evidence.outcome(), v1::Evidence::OUTCOME_PASSED)
      << result.oracle.evidence.detail();
  EXPECT_THAT(Ids(result.expected.graded_files()), ElementsAre("tests/a.t", "tests/b.t"));
  EXPECT_THAT(Ids(result.expected.fail_to_pass()),
              ElementsAre("tests/a.t::target", "tests/b.t::also"));
  EXPECT_THAT(Ids(result.expected.pass_to_pass()), ElementsAre("tests/b.t::other"));
  EXPECT_EQ(driver_.opened, 4);
}

TEST_F(GateTest, RunsOfOtherFilesAreNotJudgedByTestsThatTheyDidNotRun) {
  SetTests("target: needs FIX\n", "elsewhere: needs FIX\n");
  const OracleResult result = Oracle();
  int judged = 0;
  for (const auto& attempt : result.oracle.evidence.attempts()) {
    const bool graded = attempt.name() == "before, wider" || attempt.name() == "after, wider";
    if (attempt.name().starts_with("twin") || attempt.name().starts_with("targets")) continue;
    EXPECT_EQ(attempt.verdict().components_size() > 0, graded) << attempt.name();
    judged += graded ? 1 : 0;
  }
  EXPECT_EQ(judged, 2);
}

TEST(AttackWallTest, IsTenTimesTheSlowestGradedRunWithinLimits) {
  v1::Evidence oracle;
  EXPECT_EQ(AttackWallMsMax(oracle, 600'000), 600'000);
  (*oracle.mutable_values())["graded_wall_ms"] = 20;
  EXPECT_EQ(AttackWallMsMax(oracle, 600'000), 30'000);
  EXPECT_EQ(AttackWallMsMax(oracle, 8'000), 8'000);
  (*oracle.mutable_values())["graded_wall_ms"] = 9'000;
  EXPECT_EQ(AttackWallMsMax(oracle, 600'000), 90'000);
  (*oracle.mutable_values())["graded_wall_ms"] = 90'000;
  EXPECT_EQ(AttackWallMsMax(oracle, 600'000), 600'000);
}

TEST(AnswerWallTest, IsTwentyTimesTheSlowestGradedRunAndTwoMinutesAtLeast) {
  EXPECT_EQ(AnswerWallMsMax(20, 600'000), 120'000);
  EXPECT_EQ(AnswerWallMsMax(20, 8'000), 8'000);
  EXPECT_EQ(AnswerWallMsMax(9'000, 600'000), 180'000);
}

TEST_F(GateTest, TheFixThatPassesItsTargetsAloneLetsAttacksBeGradedByThem) {
  SetTests("target: needs FIX\nother: passed\n");
  EXPECT_EQ(Oracle().oracle.evidence.values().at("targets_alone"), 1);
  SetTests("target: accompanied FIX\nother: passed\n");
  EXPECT_EQ(Oracle().oracle.evidence.values().at("targets_alone"), 0);
}

TEST_F(GateTest, TheRunBeforeMayTakeTenTimesAsLongAsTheOneAfter) {
  proposal_.parent_tree = Tree({{"src/a", "HANG"}});
  EXPECT_EQ(OracleReason(), "oracle: run 'before': the test run ran past 30 s");
}

TEST_F(GateTest, TheWholeSuiteIsGradedWhenAskedFor) {
  GateSettings settings;
  settings.grade_full_suite = true;
  EXPECT_THAT(Ids(Oracle(settings).expected.graded_files()), ElementsAre("tests/a.t", "tests/b.t"));
}

TEST_F(GateTest, AFlippingFailToPassTestIsFlaky) {
  // Fails before, which is the second run, and flips after.
  SetTests("target: needs FIX\nmoody: flips\n");
  driver_.runs = 0;
  EXPECT_EQ(OracleReason(),
            "flaky: 1 fail-to-pass test did not pass in every run: tests/a.t::moody");
}

TEST_F(GateTest, AFlippingPassToPassTestIsDroppedAndNamed) {
  SetTests("target: needs FIX\nmoody: flips\nalways: passed\n");
  driver_.runs = 1;
  const OracleResult result = Oracle();
  EXPECT_EQ(result.repeat.evidence.outcome(), v1::Evidence::OUTCOME_PASSED);
  EXPECT_THAT(result.repeat.evidence.detail(), HasSubstr("tests/a.t::moody"));
  EXPECT_EQ(result.repeat.evidence.values().at("flaky_pass_to_pass"), 1);
  EXPECT_THAT(Ids(result.expected.pass_to_pass()), ElementsAre("tests/a.t::always"));
  EXPECT_THAT(Ids(result.expected.unjudged()), ElementsAre("tests/a.t::moody"));
}

TEST_F(GateTest, APassToPassTestThatDependsOnTheOrderIsDropped) {
  SetTests("target: needs FIX\nlast: ordered\ncrowded: alone\nalways: passed\n");
  EXPECT_THAT(Ids(Oracle().expected.pass_to_pass()), ElementsAre("tests/a.t::always"));
  SetTests("target: needs FIX\nalways: passed\n");
  EXPECT_EQ(Oracle().expected.unjudged_size(), 0);
}

TEST_F(GateTest, RunsWithoutAReportRejectAndSayWhy) {
  proposal_.gold_tree = Tree({{"src/a", "FIX HANG"}});
  EXPECT_EQ(OracleReason(), "oracle: run 'after': the test run ran past 600 s");
  proposal_.gold_tree = Tree({{"src/a", "FIX"}});
  proposal_.parent_tree = Tree({{"src/a", "FORGE_ALL"}});
  EXPECT_THAT(OracleReason(), StartsWith("oracle: run 'before': the report is false"));
}

TEST_F(GateTest, AFailingMachineIsNoVerdictOfTheOracle) {
  driver_.broken_opens = 4;  // both ahead, and twice for the run
  EXPECT_EQ(OracleReason(), "no-verdict: run 'after': the sandbox did not open");
}

TEST_F(GateTest, AnEmptyAnswerThatScoresRejectsAsNull) {
  // The target passes when the fixed file is emptied.
  proposal_.parent_tree = Tree({{"src/a", "BUG\n"}});
  proposal_.gold_tree = Tree({{"src/a", "FIX\n"}});
  SetTests("target: without BUG\n");
  EXPECT_EQ(OracleReason(), "null: emptying the fixed files scored 1");
}

class AttackTest : public GateTest {
 protected:
  AttackTest() : expected_(Oracle().expected) { driver_.opened = driver_.runs = 0; }
  GateResult Cheat() const { return CheatersGate(Bench(), expected_, proposal_, {}, {}); }
  GateResult Mutate() const { return MutationGate(Bench(), expected_, proposal_, {}, {}); }
  v1::TestVerifier expected_;
};

TEST_F(AttackTest, CheatersThatFailAreEvidence) {
  for (const char* cheat : {"FORGE_ALL", "FORGE_OLD", "FIX FORGE_CODE", "EXIT0", "CRASH"}) {
    AddAltered(driver_.cheaters, cheat, cheat);
  }
  const GateResult result = Cheat();
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << result.evidence.detail();
  EXPECT_EQ(result.evidence.values().at("cheaters"), 5);
  EXPECT_EQ(result.evidence.values().at("forged"), 3);
  EXPECT_EQ(result.evidence.values().at("sandboxes"), 5);
  EXPECT_EQ(result.evidence.attempts_size(), 5);
  EXPECT_EQ(result.logs.count("EXIT0"), 1U);
}

TEST_F(AttackTest, ACheaterThatPassesRejectsByName) {
  AddAltered(driver_.cheaters, "honest failure", "");
  AddAltered(driver_.cheaters, "time machine", "FIX");
  EXPECT_EQ(RejectionReason(Cheat().evidence), "cheaters: time machine scored 1");
}

TEST_F(AttackTest, CheatersOfWhichNothingIsLeftAreGradedOnce) {
  AddAltered(driver_.cheaters, "honest failure", "still broken");
  for (const char* name : {"conftest", "sub/conftest", "deeper/conftest"}) {
    environments::AlteredSolution planted{name, proposal_.parent_tree};
    TASKMINT_CHECK(planted.tree.Set(name, RegularFile("force")).ok());
    driver_.cheaters.push_back(planted);
  }
  const GateResult result = Cheat();
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << result.evidence.detail();
  EXPECT_EQ(driver_.runs, 2);
  EXPECT_EQ(result.evidence.values().at("cheaters"), 4);
  EXPECT_EQ(result.evidence.values().at("graded_as_nothing"), 2);
  ASSERT_EQ(result.evidence.attempts_size(), 4);
  EXPECT_THAT(result.evidence.attempts(3).verdict().reason(),
              HasSubstr("nothing of it is left when graded"));
  EXPECT_EQ(result.evidence.attempts(3).verdict().state(), v1::Verdict::STATE_FAIL);
}

TEST_F(AttackTest, ACheaterWithoutAVerdictIsNoVerdict) {
  AddAltered(driver_.cheaters, "conftest", "BREAK");
  EXPECT_THAT(RejectionReason(Cheat().evidence), StartsWith("no-verdict: cheater conftest"));
  driver_.cheaters.clear();
  EXPECT_THAT(RejectionReason(Cheat().evidence), HasSubstr("no cheaters to try"));
}

TEST_F(AttackTest, TheMutationScoreIsTheShareThatScoresZero) {
  for (const char* source : {"", "half", "CRASH", "FIX "})
    AddAltered(driver_.mutants, source, source);
  const GateResult result = Mutate();
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_PASSED);
  EXPECT_EQ(result.evidence.values().at("mutants"), 4);
  EXPECT_EQ(result.evidence.values().at("killed"), 3);
  EXPECT_DOUBLE_EQ(result.evidence.values().at("mutation_score"), 0.75);
}

TEST_F(AttackTest, TooManySurvivorsRejectAndAreNamed) {
  for (const char* source : {"", "FIX 1", "FIX 2"}) AddAltered(driver_.mutants, source, source);
  EXPECT_EQ(RejectionReason(Mutate().evidence),
            "mutation: 1 of 3 mutants scored 0; survived: FIX 1, FIX 2");
}

TEST_F(AttackTest, FewMutantsAreUnmeasuredAndRejectNothing) {
  AddAltered(driver_.mutants, "FIX 1", "FIX 1");
  const GateResult result = Mutate();
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_UNMEASURED);
  EXPECT_EQ(RejectionReason(result.evidence), "");
}

TEST_F(AttackTest, MutantsWithoutAVerdictDoNotCountAsKilled) {
  for (const char* source : {"BREAK", "BREAK ", "BREAK  "}) {
    AddAltered(driver_.mutants, source, source);
  }
  EXPECT_THAT(RejectionReason(Mutate().evidence), StartsWith("no-verdict: too few mutants"));
}

TEST(ComparisonTest, ATestThatIsGoneWithItsFileIsPassToFailAndElseUnjudged) {
  const Tests before{{"t.py::a", v1::TEST_STATUS_PASSED}, {"u.py::[0x1]", v1::TEST_STATUS_PASSED}};
  const Tests after{{"t.py", v1::TEST_STATUS_ERROR}, {"u.py::[0x2]", v1::TEST_STATUS_PASSED}};
  const Tests again{{"t.py", v1::TEST_STATUS_ERROR}, {"u.py::[0x3]", v1::TEST_STATUS_PASSED}};
  const Comparison comparison = Compare(before, {&after, &again});
  EXPECT_THAT(comparison.pass_to_fail, ElementsAre("t.py::a"));
  EXPECT_THAT(comparison.flaky, ElementsAre("u.py::[0x2]", "u.py::[0x3]"));
  EXPECT_THAT(comparison.pass_to_pass, IsEmpty());
}

TEST(RejectionReasonTest, IsOneLineWithTheGatesWord) {
  v1::Evidence evidence;
  evidence.set_gate("leak");
  EXPECT_EQ(RejectionReason(evidence), "");
  evidence.set_outcome(v1::Evidence::OUTCOME_REJECTED);
  EXPECT_EQ(RejectionReason(evidence), "leak");
  evidence.set_detail("two\nlines");
  EXPECT_EQ(RejectionReason(evidence), "leak: two lines");
  evidence.set_gate("repeat");
  EXPECT_EQ(RejectionReason(evidence), "flaky: two lines");
  evidence.set_outcome(v1::Evidence::OUTCOME_NO_VERDICT);
  EXPECT_EQ(RejectionReason(evidence), "no-verdict: two lines");
  evidence.set_outcome(v1::Evidence::OUTCOME_UNMEASURED);
  EXPECT_EQ(RejectionReason(evidence), "");
}

}  // namespace
}  // namespace taskmint::verifier
