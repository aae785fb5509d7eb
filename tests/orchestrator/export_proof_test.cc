// Exported folders, proven by themselves, and such as must not be.
#include "orchestrator/export_proof.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/orchestrator/exported_fixture.h"

namespace taskmint::orchestrator {
namespace {

using testing::HasSubstr;

class ExportProofTest : public ExportedTest {
 protected:
  Result<ProofOutcome> Prove(const std::string& task, ExportedFormat format) {
    return ProveExportedTask(*host_, {task, format, folder_.path() + "/cache"}, {});
  }
  // A change of one file of a written task.
  static void Replace(const std::string& path, const std::string& from, const std::string& to) {
    std::string text = FileText(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << path << " lacks " << from;
    text.replace(at, from.size(), to);
    ASSERT_TRUE(datasets::WriteFileWhole(path, text).ok());
  }
};

TEST_F(ExportProofTest, AHarborTaskIsWorthWhatTheStoresIsWorth) {
  const auto outcome = Prove(Write(Harbor()), ExportedFormat::kHarbor);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_TRUE(outcome->proven) << outcome->reason;
  EXPECT_EQ(outcome->oracle_reward, 1);
  EXPECT_EQ(outcome->null_reward, 0);
  EXPECT_GT(outcome->cheaters, 25);
  EXPECT_GT(outcome->cheaters_as_nothing, 5);
  EXPECT_LT(outcome->cheaters_as_nothing, outcome->cheaters / 2);
}

TEST_F(ExportProofTest, ASwebenchTaskIsWorthWhatTheStoresIsWorth) {
  const auto outcome = Prove(Write(Swebench()), ExportedFormat::kSwebench);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_TRUE(outcome->proven) << outcome->reason;
  EXPECT_EQ(outcome->oracle_reward, 1);
  EXPECT_EQ(outcome->null_reward, 0);
  EXPECT_GT(outcome->cheaters, 25);
}

TEST_F(ExportProofTest, ASolutionThatDoesNotSolveIsNotProven) {
  const std::string task = Write(Harbor());
  Replace(task + "/solution/gold.patch", "        return high\n", "        return value\n");
  const auto outcome = Prove(task, ExportedFormat::kHarbor);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_FALSE(outcome->proven);
  EXPECT_EQ(outcome->oracle_reward, 0);
  EXPECT_THAT(outcome->reason, HasSubstr("its solution does not pass: "));
  EXPECT_THAT(outcome->reason, HasSubstr("test_high"));
}

}  // namespace
}  // namespace taskmint::orchestrator
