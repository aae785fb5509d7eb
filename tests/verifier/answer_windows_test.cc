#include "verifier/answer_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/verifier/fake_driver.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;

constexpr char kBefore[] =
    "def turn(widget):\n    angle = widget.angle\n    return angle + 1\n\ndef push(widget):\n"
    "    widget.pushed = True\n    return widget\n";
constexpr char kAfter[] =
    "def turn(widget):\n    angle = widget.angle\n    if widget.pushed:\n        angle = -angle\n"
    "    return angle + 1\n\ndef push(widget):\n    widget.pushed = True\n    return widget\n";

AnswerWindows Windows(const std::string& before, const std::string& after) {
  return {FakeDriver(), Tree({{"src/w.py", before}}),
          Tree({{"src/w.py", after}, {"README", "a readme that changes as well, at length"}})};
}

TEST(AnswerWindowsTest, ACopyOfTheFixedFileHoldsTheAnswerAndTheOldOneDoesNot) {
  const AnswerWindows answer = Windows(kBefore, kAfter);
  EXPECT_EQ(answer.size(), 4U);
  EXPECT_EQ(answer.Share(kAfter), 1);
  EXPECT_EQ(answer.Share(kBefore), 0);
  EXPECT_EQ(answer.Share(""), 0);
  EXPECT_EQ(answer.Share(std::string("# another header\r\n\r\n") + kAfter + "\nmore = 1\n"), 1);
}

TEST(AnswerWindowsTest, ADeletionIsAnAnswerToo) {
  const AnswerWindows answer = Windows(kAfter, kBefore);
  EXPECT_GT(answer.size(), 0U);
  EXPECT_EQ(answer.Share(kBefore), 1);
  EXPECT_EQ(answer.Share(kAfter), 0);
}

TEST(AnswerWindowsTest, CodeThatOnlySharesLinesIsNoAnswer) {
  const AnswerWindows answer = Windows(kBefore, kAfter);
  EXPECT_EQ(answer.Share("if widget.pushed:\n  x = 1\n  angle = -angle\n  y = 2\n"), 0);
}

TEST(AnswerWindowsTest, EveryWindowHasAnAnchorInTheFixedFile) {
  const AnswerWindows answer = Windows(kBefore, kAfter);
  EXPECT_THAT(answer.anchors(), ElementsAre("angle = -angle", "if widget.pushed:"));
  EXPECT_THAT(answer.name_patterns(), ElementsAre("*.py"));
  EXPECT_TRUE(answer.MatchesName("lib/other.py"));
  EXPECT_FALSE(answer.MatchesName("lib/other.c"));
}

TEST(AnswerWindowsTest, ProseThatQuotesTheAddedLinesIsSeen) {
  const AnswerWindows answer =
      Windows(kBefore, std::string(kBefore) + "widget.angle = normalise(widget)\n");
  EXPECT_EQ(answer.ShareOfLines("Just add `widget.angle = normalise(widget)` at the end."), 1);
  EXPECT_EQ(answer.ShareOfLines("The angle is not normalised."), 0);
}

TEST(AnswerWindowsTest, AFixOfOtherFilesHasNoWindows) {
  const AnswerWindows answer = Windows(kBefore, kBefore);
  EXPECT_EQ(answer.size(), 0U);
  EXPECT_EQ(answer.Share(kAfter), 0);
}

}  // namespace
}  // namespace taskmint::verifier
