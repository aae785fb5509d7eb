// Who may run now, who waits, and who builds.
#include "orchestrator/call_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "orchestrator/run_context.h"

namespace taskmint::orchestrator {
namespace {

using testing::HasSubstr;

TEST(CallTurns, WhoCameFirstIsServedFirst) {
  CallTurns turns("calls", 1, 3, std::chrono::seconds(60));
  std::vector<int> served;  // by whoever has the turn
  std::vector<std::jthread> callers;
  {
    const auto held = turns.Take({});
    ASSERT_TRUE(held.ok());
    for (int i = 0; i < 3; ++i) {
      callers.emplace_back([&, i] {
        const auto turn = turns.Take({});
        served.push_back(i);
      });
      while (turns.waiting() <= i) std::this_thread::yield();
    }
    EXPECT_THAT(turns.Take({}).status().message(),
                HasSubstr("1 calls run at once, which is the limit, and 3 wait"));
  }
  callers.clear();
  EXPECT_THAT(served, testing::ElementsAre(0, 1, 2));
  EXPECT_EQ(turns.running(), 0);
}

TEST(CallTurns, AStoppedCallLeavesTheLine) {
  CallTurns turns("calls", 1, 1, std::chrono::seconds(60));
  const auto held = turns.Take({});
  std::stop_source stop;
  std::jthread caller(
      [&] { EXPECT_EQ(turns.Take(stop.get_token()).status().code(), Code::kCancelled); });
  while (turns.waiting() == 0) std::this_thread::yield();
  stop.request_stop();
  caller.join();
  EXPECT_EQ(turns.waiting(), 0);
  EXPECT_EQ(turns.running(), 1);
}

TEST(BuildLocks, OneThreadBuildsAtATime) {
  BuildLocks locks;
  const auto held = locks.For("a");
  EXPECT_EQ(locks.For("a"), held);
  EXPECT_NE(locks.For("b"), held);
}

}  // namespace
}  // namespace taskmint::orchestrator
