#include "verifier/answer_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

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

TEST(AnswerWindowsTest, EveryFileOfALargeAnswerHasAnchors) {
  const auto lines = [](const std::string& word, int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += word + "_" + std::to_string(i) + " = compute(" + word + ")\n";
    return text;
  };
  const AnswerWindows answer(
      FakeDriver(), {},
      Tree({{"src/a.py", lines("alpha", 5000)}, {"src/z.py", lines("omega", 50)}}));
  std::map<std::string, int> counts;
  for (const std::string& anchor : answer.anchors()) ++counts[anchor.substr(0, 5)];
  EXPECT_GT(counts["omega"], 5);
  EXPECT_GT(counts["alpha"], 500);
  EXPECT_LE(answer.anchors().size(), 2000U);
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
