// Episodes from opening to verdict, with real sandboxes, a real store and a real pytest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "orchestrator/episode_desk.h"
#include "orchestrator/task_shelf.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/kill_descendants.h"
#include "tests/orchestrator/kept_task.h"

namespace taskmint::orchestrator {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

const KeptTask& Task() {
  static const auto* const task = new KeptTask;
  return *task;
}

// A real sandbox that does not close while `held` is true.
class HeldSandbox : public sandbox::ForwardingSandbox {
 public:
  HeldSandbox(std::unique_ptr<Sandbox> inner, const std::atomic<bool>& held)
      : ForwardingSandbox(std::move(inner)), held_(held) {}
  ~HeldSandbox() override { held_.wait(true); }

 private:
  const std::atomic<bool>& held_;
};

// Real sandboxes, as long as `broken` is false.
class BreakableHost : public sandbox::SandboxHost {
 public:
  Result<std::unique_ptr<sandbox::Sandbox>> Open(const sandbox::SandboxSpec& spec,
                                                 std::stop_token stop) override {
    if (broken) return Status(Code::kUnavailable, Boundary::kSandbox, "no namespaces today");
    TASKMINT_ASSIGN_OR_RETURN(auto inner, host_->Open(spec, std::move(stop)));
    if (stopped_by_opening) stopped_by_opening->request_stop();
    return std::unique_ptr<sandbox::Sandbox>(std::make_unique<HeldSandbox>(std::move(inner), held));
  }
  void Release() {
    held = false;
    held.notify_all();
  }
  std::atomic<bool> broken = false;
  std::atomic<bool> held = false;
  std::optional<std::stop_source> stopped_by_opening;  // set before anything opens

 private:
  std::unique_ptr<sandbox::SandboxHost> host_ = sandbox::MakeBubblewrapHost().value();
};

class EpisodeTest : public testing::Test {
 protected:
  EpisodeDesk& Desk() {
    if (desk_ == nullptr) {
      desk_ = std::make_unique<EpisodeDesk>(*store_, host_, clock_, limits_);
    }
    return *desk_;
  }
  std::string Open(int64_t idle_ms_max = 0) {
    auto opened = Desk().Open(Task().id(), "test", idle_ms_max, {});
    if (!opened.ok()) ADD_FAILURE() << opened.status().ToString();
    return opened.ok() ? opened->id : "";
  }
  Result<v1::Step> Call(const std::string& id, const std::string& tool, const json& arguments,
                        std::stop_token stop = {}) {
    return Desk().CallTool(id, tool, DumpJson(arguments), std::move(stop));
  }
  Result<v1::Step> Bash(const std::string& id, const std::string& command,
                        std::stop_token stop = {}) {
    return Call(id, "bash", {{"command", command}}, std::move(stop));
  }
  void Fix(const std::string& id) {
    const auto step = Call(id, "edit_file",
                           {{"path", "bounds/clamp.py"},
                            {"old", KeptTask::kWrongLine},
                            {"new", KeptTask::kRightLine}});
    ASSERT_TRUE(step.ok()) << step.status().ToString();
    ASSERT_FALSE(step->failed()) << step->observation();
  }
  v1::Trajectory Grade(const std::string& id) {
    auto graded = Desk().Grade(id, {});
    if (!graded.ok()) ADD_FAILURE() << graded.status().ToString();
    return graded.ok() ? *graded : v1::Trajectory();
  }
  // A command that does not end of itself. A look of AwaitRunning may be in its way.
  Result<v1::Step> Sleep(const std::string& id, const std::stop_token& stop = {}) {
    while (true) {
      auto step = Bash(id, "sleep 100", stop);
      if (step.status().code() != Code::kAborted) return step;
    }
  }
  // Until a call of the episode runs: one that is in Sleep().
  void AwaitRunning(const std::string& id) {
    while (Desk().CallTool(id, "none", "{}", {}).status().code() != Code::kAborted) {
      std::this_thread::sleep_for(milliseconds(10));
    }
  }

  FakeClock clock_;
  BreakableHost host_;
  std::unique_ptr<datasets::Store> store_ =
      datasets::Store::Open(Task().store_path(), datasets::OpenMode::kReadWrite, clock_).value();
  EpisodeLimits limits_;
  std::unique_ptr<EpisodeDesk> desk_;
};

TEST_F(EpisodeTest, AFixThatWasMadeWithToolsPassesAndIsKept) {
  const auto opened = Desk().Open(Task().id().substr(0, 12), "a model", 0, {});
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  EXPECT_EQ(opened->id.size(), 32U);
  EXPECT_EQ(Desk().open(), 1);
  Fix(opened->id);
  const auto tried = Bash(opened->id, "python -c 'import bounds; print(bounds.clamp(9, 2, 3))'");
  EXPECT_EQ(tried->observation(), "3\n[exit code 0]\n");
  EXPECT_EQ(Bash(opened->id, "python -m pytest --version 2>&1 | cut -c1-6")->observation(),
            "pytest\n[exit code 0]\n");
  const v1::Trajectory graded = Grade(opened->id);
  EXPECT_EQ(graded.verdict().state(), v1::Verdict::STATE_PASS) << graded.verdict().reason();
  EXPECT_EQ(graded.verdict().score(), 1.0);
  EXPECT_EQ(graded.task_id(), Task().id());
  EXPECT_EQ(graded.actor(), "a model");
  ASSERT_EQ(graded.steps_size(), 3);
  EXPECT_EQ(graded.steps(0).tool(), "edit_file");
  EXPECT_EQ(graded.steps(1).masked_observation_digest(), Sha256Hex("3\n[exit code 0]\n"));
  EXPECT_EQ(graded.final_state_digest().size(), 64U);
  EXPECT_EQ(SerializeDeterministic(Grade(opened->id)), SerializeDeterministic(graded));
  const auto found = store_->FindTrajectory(TrajectoryId(graded));
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(SerializeDeterministic(*found), SerializeDeterministic(graded));
  EXPECT_TRUE(Desk().Close(opened->id).ok());
  EXPECT_EQ(Desk().open(), 0);
}

TEST_F(EpisodeTest, DoingNothingFailsAndSoDoesAStateThatCannotBeTaken) {
  const v1::Trajectory idle = Grade(Open());
  EXPECT_EQ(idle.verdict().state(), v1::Verdict::STATE_FAIL);
  EXPECT_EQ(idle.verdict().score(), 0);
  const std::string id = Open();
  Fix(id);
  ASSERT_TRUE(Bash(id, "truncate -s 900M sparse").ok());
  const v1::Trajectory filled = Grade(id);
  EXPECT_EQ(filled.verdict().state(), v1::Verdict::STATE_FAIL);
  EXPECT_THAT(filled.verdict().reason(), HasSubstr("MiB"));
  EXPECT_EQ(filled.final_state_digest(), "");
}

TEST_F(EpisodeTest, TestsThatTheAgentWroteOrRemovedDoNotCount) {
  const std::string id = Open();
  ASSERT_TRUE(Bash(id,
                   "mkdir tests; echo 'def test_high(): pass' > tests/test_clamp.py; "
                   "echo 'import os; os._exit(0)' > conftest.py")
                  .ok());
  EXPECT_EQ(Grade(id).verdict().state(), v1::Verdict::STATE_FAIL);
}

TEST_F(EpisodeTest, WhatTheAgentIsToldHoldsNoAnswer) {
  const auto opened = Desk().Open(Task().id(), "test", 0, {});
  ASSERT_TRUE(opened.ok());
  EXPECT_FALSE(opened->task.has_solution());
  EXPECT_FALSE(opened->task.has_verifier());
  EXPECT_FALSE(opened->task.has_provenance());
  EXPECT_EQ(opened->task.tools_size(), 4);
  EXPECT_EQ(opened->task.prompt().text(), "clamp(9, 2, 3) should be 3.");
  EXPECT_THAT(Bash(opened->id, "ls /work/tests; grep -r 'min(value' /work; true")->observation(),
              testing::Not(HasSubstr("return")));
}

TEST_F(EpisodeTest, ACallAfterSubmitOrGradeIsRefused) {
  const std::string id = Open();
  EXPECT_TRUE(Call(id, "submit", json::object()).ok());
  const auto late = Bash(id, "true");
  EXPECT_EQ(late.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(late.status().message(), HasSubstr("submitted"));
  EXPECT_EQ(Grade(id).steps_size(), 1);
  EXPECT_THAT(Bash(id, "true").status().message(), HasSubstr("graded"));
}

TEST_F(EpisodeTest, WrongCallsAreStepsAndTheEpisodeGoesOn) {
  const std::string id = Open();
  const auto wrong = Desk().CallTool(id, "b\xff" + std::string(1000, 'x'), "{\"a\":\"\xff\"", {});
  ASSERT_TRUE(wrong.ok()) << wrong.status().ToString();
  EXPECT_TRUE(wrong->failed());
  EXPECT_LE(wrong->tool().size(), 200U);
  const auto huge = Desk().CallTool(id, "bash", std::string(5'000'000, '{'), {});
  ASSERT_TRUE(huge.ok());
  EXPECT_THAT(huge->observation(), HasSubstr("longer than 1048576 bytes"));
  EXPECT_LE(huge->arguments_json().size(), (1U << 20) + 4);
  EXPECT_FALSE(Bash(id, "true")->failed());
  EXPECT_EQ(Grade(id).steps_size(), 3);
}

TEST_F(EpisodeTest, AFullTrajectoryTakesNoMoreCalls) {
  const std::string id = Open();
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = Desk().CallTool(id, "bash", std::string(2'000'000, '{'), {}).status();
  }
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("grade it"));
  EXPECT_EQ(Grade(id).verdict().state(), v1::Verdict::STATE_FAIL);
}

TEST_F(EpisodeTest, OfTwoCallsAtOnceTheSecondIsAborted) {
  const std::string id = Open();
  std::stop_source stop;
  std::jthread first([&] { EXPECT_TRUE(Sleep(id, stop.get_token()).ok()); });
  AwaitRunning(id);
  EXPECT_EQ(Bash(id, "true").status().code(), Code::kAborted);
  EXPECT_EQ(Desk().Grade(id, {}).status().code(), Code::kAborted);
  stop.request_stop();
  first.join();
  EXPECT_EQ(Bash(id, "echo on")->observation(), "on\n[exit code 0]\n");
}

TEST_F(EpisodeTest, AStoppedGradeCanBeMadeAgain) {
  const std::string id = Open();
  Fix(id);
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop.request_stop();
  });
  const auto stopped = Desk().Grade(id, stop.get_token());
  EXPECT_EQ(stopped.status().code(), Code::kCancelled) << stopped.status().ToString();
  EXPECT_EQ(Bash(id, "true").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(Grade(id).verdict().state(), v1::Verdict::STATE_PASS);
}

TEST_F(EpisodeTest, AMachineThatFailsGivesNoVerdictAndNeverAZero) {
  const std::string id = Open();
  Fix(id);
  host_.broken = true;
  const v1::Trajectory graded = Grade(id);
  EXPECT_EQ(graded.verdict().state(), v1::Verdict::STATE_NO_VERDICT);
  EXPECT_THAT(graded.verdict().reason(), HasSubstr("no namespaces today"));
  EXPECT_EQ(Desk().Open(Task().id(), "test", 0, {}).status().code(), Code::kUnavailable);
  EXPECT_EQ(Desk().open(), 1);
  const auto rows = store_->Trajectories(Task().id());
  ASSERT_TRUE(rows.ok()) << rows.status().ToString();
  for (const datasets::TrajectoryRow& row : *rows) {
    if (row.id == TrajectoryId(graded)) {
      EXPECT_FALSE(row.score.has_value());
    }
  }
}

TEST_F(EpisodeTest, ASandboxThatIsKilledFromOutsideGivesNoVerdict) {
  const std::string id = Open();
  Fix(id);
  ASSERT_GT(KillDescendants(), 0U);
  EXPECT_EQ(Bash(id, "true").status().boundary(), Boundary::kSandbox);
  const v1::Trajectory graded = Grade(id);
  EXPECT_EQ(graded.verdict().state(), v1::Verdict::STATE_NO_VERDICT) << graded.verdict().reason();
}

TEST_F(EpisodeTest, ATaskOfAnotherBaseIsNotPlayed) {
  const Status status = Desk().Open(Task().id_of_other_base(), "test", 0, {}).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("base differs"));
  EXPECT_EQ(Desk().Open(std::string(64, '0'), "test", 0, {}).status().code(), Code::kNotFound);
  EXPECT_EQ(Desk().Open("../etc", "test", 0, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Desk().open(), 0);
}

TEST_F(EpisodeTest, AnIdleEpisodeExpiresAndACallRenewsIt) {
  const std::string id = Open(5'000);
  const std::string other = Open(50'000);
  clock_.AdvanceMs(4'000);
  EXPECT_TRUE(Bash(id, "true").ok());
  clock_.AdvanceMs(4'000);
  EXPECT_TRUE(Bash(id, "true").ok());
  clock_.AdvanceMs(5'000);
  const Status status = Bash(id, "true").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("expired, without a call for 5 s"));
  EXPECT_EQ(Desk().Close(id).code(), Code::kNotFound);
  EXPECT_TRUE(Bash(other, "true").ok());
  EXPECT_EQ(Desk().open(), 1);
  clock_.AdvanceMs(60'000);
  while (Desk().open() > 0) std::this_thread::sleep_for(milliseconds(10));  // nobody calls
}

TEST_F(EpisodeTest, NoEpisodeOutlivesItsTimeWhateverItDoes) {
  limits_.lifetime_ms_max = 60'000;
  limits_.idle_ms_max = 100'000;
  const std::string id = Open(1'000'000);
  std::jthread call([&] { EXPECT_EQ(Sleep(id).status().code(), Code::kCancelled); });
  AwaitRunning(id);
  clock_.AdvanceMs(60'000);
  call.join();
  EXPECT_THAT(Bash(id, "true").status().message(), HasSubstr("as long as any may be"));
}

TEST_F(EpisodeTest, CloseEndsARunningCall) {
  const std::string id = Open();
  std::jthread call([&] { EXPECT_EQ(Sleep(id).status().code(), Code::kCancelled); });
  AwaitRunning(id);
  std::jthread twin([&] { static_cast<void>(Desk().Close(id)); });
  static_cast<void>(Desk().Close(id));
  twin.join();
  call.join();
  EXPECT_THAT(Desk().Close(id).message(), HasSubstr("it was closed"));
  EXPECT_THAT(Desk().Close("nonsense").message(), HasSubstr("no such episode"));
  EXPECT_EQ(Desk().open(), 0);
}

TEST_F(EpisodeTest, BeyondTheLimitsIsSaidWithWhatToDo) {
  limits_.episodes_max = 2;
  limits_.tool_calls_max = 1;
  const std::string ids[] = {Open(), Open()};
  const Status third = Desk().Open(Task().id(), "test", 0, {}).status();
  EXPECT_EQ(third.code(), Code::kResourceExhausted);
  EXPECT_THAT(third.message(), HasSubstr("2 episodes are open, which is the limit: close"));
  std::stop_source stop;
  std::jthread first([&] { EXPECT_TRUE(Sleep(ids[0], stop.get_token()).ok()); });
  AwaitRunning(ids[0]);
  const Status busy = Bash(ids[1], "true").status();
  EXPECT_EQ(busy.code(), Code::kResourceExhausted);
  EXPECT_THAT(busy.message(),
              HasSubstr("1 tool calls run at once, which is the limit, and 1 wait"));
  EXPECT_THAT(busy.message(), HasSubstr("try again"));
  stop.request_stop();
  first.join();
  EXPECT_TRUE(Bash(ids[1], "true").ok());
  EXPECT_TRUE(Desk().Close(ids[0]).ok());
  Open();
}

TEST_F(EpisodeTest, CommandsThatSleepAreInNobodysWay) {
  limits_.calls_max = 1;
  const std::string sleeping[] = {Open(), Open(), Open()};
  std::stop_source stop;
  std::vector<std::jthread> agents;
  for (const std::string& id : sleeping) {
    agents.emplace_back([&] { EXPECT_TRUE(Sleep(id, stop.get_token()).ok()); });
  }
  for (const std::string& id : sleeping) AwaitRunning(id);
  const std::string id = Open();
  EXPECT_TRUE(Bash(id, "true").ok());
  EXPECT_EQ(Grade(id).verdict().state(), v1::Verdict::STATE_FAIL);
  stop.request_stop();
}

TEST_F(EpisodeTest, AnOpenThatNobodyWaitsForLeavesNothing) {
  EXPECT_TRUE(Desk().Close(Open()).ok());  // the task is loaded
  host_.stopped_by_opening.emplace();
  const Status status =
      Desk().Open(Task().id(), "test", 0, host_.stopped_by_opening->get_token()).status();
  EXPECT_EQ(status.code(), Code::kCancelled) << status.ToString();
  EXPECT_EQ(Desk().open(), 0);
}

TEST_F(EpisodeTest, AnEpisodeCountsUntilItsSandboxIsGone) {
  limits_.episodes_max = 1;
  const std::string id = Open(1'000);
  host_.held = true;
  clock_.AdvanceMs(2'000);
  while (Desk().open() > 0) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(Desk().Open(Task().id(), "test", 0, {}).status().code(), Code::kResourceExhausted);
  host_.Release();
  Status status;
  do {
    status = Desk().Open(Task().id(), "test", 0, {}).status();
  } while (status.code() == Code::kResourceExhausted);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(EpisodeTest, ManyEpisodesThatExpireAtOnceAreAllClosed) {
  limits_.episodes_max = 6;
  std::vector<std::string> ids;
  for (int64_t i = 0; i < limits_.episodes_max; ++i) ids.push_back(Open(1'000));
  std::jthread call([&] { EXPECT_EQ(Sleep(ids[0]).status().code(), Code::kCancelled); });
  AwaitRunning(ids[0]);
  clock_.AdvanceMs(2'000);
  while (Desk().open() > 1) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(Desk().Close(ids[0]).ok());
  call.join();
  for (int64_t i = 0; i < limits_.episodes_max;) {
    if (Desk().Open(Task().id(), "test", 0, {}).ok()) ++i;
  }
}

TEST_F(EpisodeTest, ManyEpisodesAreSideBySideAndApart) {
  limits_.calls_max = 4;
  Desk();  // made before the players are: by one thread
  std::vector<std::jthread> players;
  for (int i = 0; i < 8; ++i) {
    players.emplace_back([&, i] {
      const std::string id = Open();
      const std::string mine = std::to_string(i);
      for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(Bash(id, "echo " + mine + " >> mine").ok());
      }
      const auto read = Bash(id, "sort -u mine; ls /tmp | wc -l");
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_EQ(read->observation(), mine + "\n0\n[exit code 0]\n");
      if (i % 2 == 0) {
        EXPECT_TRUE(Desk().Close(id).ok());
      }
    });
  }
  players.clear();
  EXPECT_EQ(Desk().open(), 4);
}

TEST_F(EpisodeTest, TheDeskEndsWithEverythingOnIt) {
  const std::string id = Open();
  Open();
  std::jthread call([&] { EXPECT_EQ(Sleep(id).status().code(), Code::kCancelled); });
  AwaitRunning(id);
  desk_.reset();
  call.join();
}

TEST_F(EpisodeTest, EpisodesOfOneTaskShareWhatIsLoaded) {
  TaskShelf shelf(*store_, host_, 1);
  const TaskShelf::Entry first = shelf.Load(Task().id(), {}).value();
  EXPECT_EQ(shelf.Load(Task().id().substr(0, 10), {}).value(), first);
  EXPECT_EQ(shelf.Load(Task().id(), {}).value(), first);
  EXPECT_EQ(shelf.Load("ffffffffff", {}).status().code(), Code::kNotFound);
  EXPECT_EQ(shelf.Load(std::string(1'000'000, 'x'), {}).status().code(), Code::kInvalidArgument);
}

// Whoever waits for another's load is not held by it.
TEST_F(EpisodeTest, AWaitForAnothersLoadCanBeStopped) {
  TaskShelf shelf(*store_, host_, 1);
  std::vector<std::jthread> loaders;
  std::atomic<int> loaded = 0;
  for (int i = 0; i < 4; ++i) {
    loaders.emplace_back([&] { loaded += shelf.Load(Task().id(), {}).ok() ? 1 : 0; });
  }
  std::stop_source stopped;
  stopped.request_stop();
  const auto late = shelf.Load(Task().id(), stopped.get_token());
  EXPECT_TRUE(late.ok() || late.status().code() == Code::kCancelled) << late.status().ToString();
  loaders.clear();
  EXPECT_EQ(loaded, 4);
}

}  // namespace
}  // namespace taskmint::orchestrator
