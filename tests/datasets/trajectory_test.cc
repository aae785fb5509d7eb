// Trajectories in the store, and stores of the format before them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "proto/base/record.h"
#include "tests/datasets/store_fixture.h"

namespace taskmint::datasets {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::Trajectory Played(const std::string& task, int64_t started_ms, v1::Verdict::State state) {
  v1::Trajectory trajectory;
  trajectory.set_task_id(IdOf(task));
  trajectory.set_actor("someone");
  trajectory.set_started_ms(started_ms);
  v1::Step& step = *trajectory.add_steps();
  step.set_tool("bash");
  step.set_observation(std::string("\0\xff", 2));
  trajectory.mutable_verdict()->set_state(state);
  trajectory.mutable_verdict()->set_score(1);
  return trajectory;
}

class TrajectoryTest : public StoreTest {
 protected:
  // Turns the store into one of format 1.0.
  void Age() {
    Run("DROP TABLE trajectories; DROP TABLE submissions; UPDATE meta SET value = '1.0' WHERE key "
        "= 'format'");
  }
  std::string Format() {
    return sqlite::Connection::Open(database_, sqlite::Access::kReadOnly)
        .value()
        ->QueryText("SELECT value FROM meta WHERE key = 'format'")
        .value();
  }
};

TEST_F(TrajectoryTest, ATrajectoryIsKeptOnceAndFoundByItsId) {
  const auto store = Open();
  const v1::Trajectory played = Played("a", 7, v1::Verdict::STATE_PASS);
  const std::string id = store->PutTrajectory(played).value();
  EXPECT_EQ(id, TrajectoryId(played));
  EXPECT_EQ(store->PutTrajectory(played).value(), id);
  EXPECT_EQ(SerializeDeterministic(store->FindTrajectory(id).value()),
            SerializeDeterministic(played));
  EXPECT_TRUE(store->FindTrajectory(id.substr(0, 6)).ok());
  EXPECT_EQ(store->FindTrajectory(IdOf("none")).status().code(), Code::kNotFound);
  EXPECT_EQ(store->FindTrajectory("no id").status().code(), Code::kInvalidArgument);
  EXPECT_THAT(store->Trajectories("").value(), SizeIs(1));
}

TEST_F(TrajectoryTest, ListsTheOldestFirstAndThoseOfATask) {
  const auto store = Open();
  ASSERT_TRUE(store->PutTrajectory(Played("a", 20, v1::Verdict::STATE_NO_VERDICT)).ok());
  ASSERT_TRUE(store->PutTrajectory(Played("b", 10, v1::Verdict::STATE_FAIL)).ok());
  ASSERT_TRUE(store->PutTrajectory(Played("a", 30, v1::Verdict::STATE_PASS)).ok());
  const auto all = store->Trajectories("").value();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].task_id, IdOf("b"));
  EXPECT_EQ(all[1].state, v1::Verdict::STATE_NO_VERDICT);
  EXPECT_FALSE(all[1].score.has_value()) << "no verdict is never a number";
  EXPECT_EQ(all[2].score, 1.0);
  EXPECT_EQ(all[2].steps, 1);
  EXPECT_EQ(all[2].actor, "someone");
  EXPECT_THAT(store->Trajectories(IdOf("a")).value(), SizeIs(2));
  EXPECT_THAT(store->Trajectories(IdOf("c")).value(), IsEmpty());
}

TEST_F(TrajectoryTest, ManyMayWriteAtOnce) {
  const auto first = Open();
  const auto second = Open(OpenMode::kReadWrite);
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < 6; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 20; ++i) {
        Store& store = writer % 2 == 0 ? *first : *second;
        EXPECT_TRUE(
            store.PutTrajectory(Played("a", writer * 100 + i, v1::Verdict::STATE_PASS)).ok());
      }
    });
  }
  writers.clear();
  EXPECT_THAT(first->Trajectories("").value(), SizeIs(120));
}

TEST_F(TrajectoryTest, AnOlderStoreIsReadAsItIsAndGrowsWhenItIsWritten) {
  Open();
  Age();
  {
    const auto store = Open(OpenMode::kReadOnly);
    EXPECT_THAT(store->Trajectories("").value(), IsEmpty());
    EXPECT_EQ(store->FindTrajectory(IdOf("a")).status().code(), Code::kNotFound);
    EXPECT_EQ(store->PutTrajectory(Played("a", 1, v1::Verdict::STATE_PASS)).status().code(),
              Code::kFailedPrecondition);
    EXPECT_EQ(store->Check().value().trajectories, 0);
  }
  EXPECT_EQ(Format(), "1.0");
  const auto store = Open(OpenMode::kReadWrite);
  EXPECT_EQ(Format(), "1.2");
  EXPECT_TRUE(store->PutTrajectory(Played("a", 1, v1::Verdict::STATE_PASS)).ok());
}

TEST_F(TrajectoryTest, CheckReadsThemAndNamesTheDamagedOnes) {
  const auto store = Open();
  const std::string id = store->PutTrajectory(Played("a", 1, v1::Verdict::STATE_PASS)).value();
  const std::string other = store->PutTrajectory(Played("b", 1, v1::Verdict::STATE_PASS)).value();
  EXPECT_EQ(store->Check().value().trajectories, 2);
  EXPECT_THAT(store->Check().value().damaged, IsEmpty());
  Run("UPDATE trajectories SET record = x'00' WHERE id = '" + id + "'");
  Run("UPDATE trajectories SET id = '" + IdOf("moved") + "' WHERE id = '" + other + "'");
  const CheckReport report = store->Check().value();
  ASSERT_THAT(report.damaged, SizeIs(2));
  const std::string both = report.damaged[0] + report.damaged[1];
  EXPECT_THAT(both, HasSubstr(id));
  EXPECT_THAT(both, HasSubstr("its digest differs"));
  EXPECT_EQ(store->FindTrajectory(id).status().code(), Code::kDataLoss);
  EXPECT_TRUE(store->Collect().ok());
}

}  // namespace
}  // namespace taskmint::datasets
