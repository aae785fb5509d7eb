#include "orchestrator/frontier.h"

#include <gtest/gtest.h>

#include <limits>

namespace taskmint::orchestrator {
namespace {

using State = datasets::Store::CandidateState;
constexpr int64_t kFar = std::numeric_limits<int64_t>::max();

// 'k' kept, 'r' rejected, 's' surplus, '.' pending; one letter a position.
std::vector<State> States(const std::string& letters) {
  std::vector<State> states;
  for (char letter : letters) {
    State state;
    state.position = static_cast<int64_t>(states.size());
    state.state = letter == 'k'   ? v1::Candidate::STATE_KEPT
                  : letter == 'r' ? v1::Candidate::STATE_REJECTED
                  : letter == 's' ? v1::Candidate::STATE_SURPLUS
                                  : v1::Candidate::STATE_PENDING;
    states.push_back(state);
  }
  return states;
}

TEST(FrontierTest, WithoutAGoalEverythingMayBeWorkedOn) {
  const FrontierView view = JudgeFrontier(States("kr.k.."), 0, 8);
  EXPECT_EQ(view.position_max, kFar);
  EXPECT_FALSE(view.goal_reached);
  EXPECT_EQ(view.kept_end, kFar);
  EXPECT_EQ(view.progress.decided, 3);
  EXPECT_EQ(view.progress.kept, 2);
  EXPECT_EQ(view.progress.candidates, 6);
}

TEST(FrontierTest, WorkGoesAheadOfTheDecidedPrefixByTheWindow) {
  EXPECT_EQ(JudgeFrontier(States("kr.k......"), 5, 3).position_max, 5);
}

TEST(FrontierTest, GoalNeedsEveryLowerPositionDecided) {
  const FrontierView open = JudgeFrontier(States("k.k..."), 2, 4);
  EXPECT_FALSE(open.goal_reached);
  EXPECT_EQ(open.kept_end, 3);
  EXPECT_EQ(open.position_max, 3) << "nothing beyond the last kept one can change the choice";
  const FrontierView closed = JudgeFrontier(States("krk..."), 2, 4);
  EXPECT_TRUE(closed.goal_reached);
  EXPECT_EQ(closed.kept_end, 3);
}

TEST(FrontierTest, ALowerKeptOneMovesTheEndDown) {
  EXPECT_EQ(JudgeFrontier(States("kk.k"), 2, 4).kept_end, 2);
}

TEST(FrontierTest, SurplusCountsAsValidWhenTheGoalGrows) {
  const FrontierView view = JudgeFrontier(States("krss.."), 3, 4);
  EXPECT_TRUE(view.goal_reached);
  EXPECT_EQ(view.kept_end, 4);
}

}  // namespace
}  // namespace taskmint::orchestrator
