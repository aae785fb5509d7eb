// The exported grader decides as Grade does, whatever is done to it.
#include "verifier/portable_grader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/verifier/portable_bench.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr char kHigh[] = "tests/test_clamp.py::test_high";

std::string StateName(v1::Verdict::State state) {
  switch (state) {
    case v1::Verdict::STATE_PASS:
      return "pass";
    case v1::Verdict::STATE_FAIL:
      return "fail";
    case v1::Verdict::STATE_FORGED:
      return "forged";
    default:
      return "none";
  }
}

std::string StatusName(v1::TestStatus status) {
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

std::map<std::string, std::string> StatusesOf(const v1::Verdict& verdict) {
  std::map<std::string, std::string> statuses;
  for (const auto& test : verdict.tests()) statuses[test.id()] = StatusName(test.status());
  return statuses;
}

class PortableContractTest : public PortableTest {
 protected:
  // The same state through both.
  void ExpectAgreement(const std::string& name, const FileTree& tree) {
    SCOPED_TRACE(name);
    const v1::Verdict here = GradeTree(tree);
    const PortableRun there = RunGrader(tree);
    EXPECT_EQ(there.exit_code, 0) << there.reason();
    EXPECT_EQ(there.verdict(), StateName(here.state()))
        << "here: " << here.reason() << "\nthere: " << there.reason() << "\n"
        << there.log;
    EXPECT_EQ(there.reward_json.value("reward", -1), here.score()) << there.reason();
    EXPECT_EQ(there.reward_txt, here.score() > 0 ? "1\n" : "0\n");
    EXPECT_EQ(there.reward_json.value("forged", -1),
              here.state() == v1::Verdict::STATE_FORGED ? 1 : 0);
    if (here.state() == v1::Verdict::STATE_FORGED) return;  // what is said there is not believed
    EXPECT_EQ(there.report.value("tests", std::map<std::string, std::string>()), StatusesOf(here));
  }
};

TEST_F(PortableContractTest, TheFixPassesAndDoingNothingFailsAsHere) {
  ExpectAgreement("gold", proposal_.gold_tree);
  ExpectAgreement("null", proposal_.parent_tree);
  ExpectAgreement("empty", FileTree());
  const PortableRun gold = RunGrader(proposal_.gold_tree);
  EXPECT_EQ(gold.reward_json["f2p_rate"], 1.0);
  EXPECT_EQ(gold.reward_json["p2p_rate"], 1.0);
  EXPECT_GT(gold.report["doctored"], 0);
  EXPECT_EQ(gold.report["runs"], 2);
  const PortableRun null = RunGrader(proposal_.parent_tree);
  EXPECT_EQ(null.reward_json["f2p_rate"], 0.0);
  EXPECT_EQ(null.reward_json["p2p_rate"], 1.0);
  EXPECT_EQ(StringOr(null.report, "reason", ""),
            "1 of 3 tests did not pass: tests/test_clamp.py::test_high");
  EXPECT_EQ(null.report["runs"], 1);
}

TEST_F(PortableContractTest, EveryCheaterIsJudgedAsHere) {
  const GradingBench bench = Bench();
  std::vector<std::string> ids;
  const v1::TestVerifier expected = Expected();
  for (const auto* list : {&expected.fail_to_pass(), &expected.pass_to_pass()}) {
    ids.insert(ids.end(), list->begin(), list->end());
  }
  const auto cheaters = bench.driver.Cheaters({proposal_.parent_tree, proposal_.gold_tree,
                                               proposal_.overlay, ids, {"tests/test_clamp.py"}});
  ASSERT_GT(cheaters.size(), 25U);
  for (const auto& cheater : cheaters) {
    const v1::Verdict here = GradeTree(cheater.tree);
    const PortableRun there = RunGrader(cheater.tree);
    EXPECT_EQ(there.exit_code, 0) << cheater.name << ": " << there.reason();
    EXPECT_EQ(there.reward_json.value("reward", -1), 0) << cheater.name;
    EXPECT_EQ(there.verdict(), StateName(here.state()))
        << cheater.name << "\nhere: " << here.reason() << "\nthere: " << there.reason() << "\n"
        << there.log;
  }
}

}  // namespace
}  // namespace taskmint::verifier
