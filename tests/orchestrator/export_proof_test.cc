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
    const auto mode = std::filesystem::status(path).permissions();
    ASSERT_TRUE(datasets::WriteFileWhole(path, text).ok());
    std::filesystem::permissions(path, mode);
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

TEST_F(ExportProofTest, AGraderThatCanBeCheatedIsFoundOut) {
  const std::string task = Write(Harbor());
  // No twin run: who lies about the known tests alone gets through.
  Replace(task + "/tests/grader/judging.py", "        if verdict.state != PASS:\n",
          "        if True:\n");
  const auto outcome = Prove(task, ExportedFormat::kHarbor);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_FALSE(outcome->proven);
  EXPECT_EQ(outcome->reason, "the cheater reporter-by-name passes");
}

TEST_F(ExportProofTest, WhatIsWrongWithAFolderIsSaid) {
  struct Damage {
    const char* file;
    const char* from;
    const char* to;
    const char* reason;
  };
  const Damage damages[] = {
      {"tests/test.sh", "exec ", "exit 0 # ", "left no reward"},
      {"solution/gold.patch", "@@ ", "@@@ ", "solution/solve.sh failed"},
      {"tests/Dockerfile", "COPY . /tests/", "CMD x", "CMD is not understood here"},
      {"tests/test.sh", "#!/bin/sh", "#!/no/shell", "left no reward"},
      {"tests/overlay.json", "\"files\"", "\"folders\"", "no list files"},
      {"environment/Dockerfile", "repo.tar.gz", "other.tar.gz", "other.tar.gz"},
  };
  for (const Damage& damage : damages) {
    const std::string task = Write(Harbor());
    Replace(task + "/" + damage.file, damage.from, damage.to);
    const auto outcome = Prove(task, ExportedFormat::kHarbor);
    ASSERT_TRUE(outcome.ok()) << damage.file << ": " << outcome.status().ToString();
    EXPECT_FALSE(outcome->proven) << damage.file;
    EXPECT_THAT(outcome->reason, HasSubstr(damage.reason)) << damage.file;
  }
}

TEST_F(ExportProofTest, AMachineThatCannotTellSaysSo) {
  const std::string task = Write(Harbor());
  Replace(task + "/tests/Dockerfile", "git make", "git no-such-package make");
  auto outcome = Prove(task, ExportedFormat::kHarbor);
  EXPECT_EQ(outcome.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(outcome.status().message(), HasSubstr("apt-get install no-such-package"));
  Replace(task + "/environment/Dockerfile", "FROM ", "FROM debian:sarge\n# ");
  outcome = Prove(task, ExportedFormat::kHarbor);
  EXPECT_EQ(outcome.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(outcome.status().message(), HasSubstr("debian:sarge"));
  std::stop_source stop;
  stop.request_stop();
  outcome = ProveExportedTask(*host_,
                              {Write(Harbor()), ExportedFormat::kHarbor, folder_.path() + "/cache"},
                              stop.get_token());
  EXPECT_EQ(outcome.status().code(), Code::kCancelled) << outcome.status().ToString();
}

}  // namespace
}  // namespace taskmint::orchestrator
