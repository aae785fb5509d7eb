// A person's edit becomes a call of edit_file: the passage stands once, and gives the edited text.
#include "orchestrator/file_editing.h"

#include <gtest/gtest.h>

#include "proto/base/random.h"

namespace taskmint::orchestrator {
namespace {

// What edit_file makes of it; empty when the passage does not stand exactly once.
std::string Applied(const std::string& before, const Passage& passage) {
  const size_t place = before.find(passage.old_text);
  if (passage.old_text.empty() || place == std::string::npos ||
      before.find(passage.old_text, place + 1) != std::string::npos) {
    return "";
  }
  return before.substr(0, place) + passage.new_text +
         before.substr(place + passage.old_text.size());
}

TEST(ChangedPassageTest, IsTheLinesThatChanged) {
  const Passage passage = ChangedPassage("one\ntwo\nthree\n", "one\n2\nthree\n");
  EXPECT_EQ(passage.old_text, "two\n");
  EXPECT_EQ(passage.new_text, "2\n");
}

TEST(ChangedPassageTest, GrowsUntilItStandsOnce) {
  const std::string before = "a\nb\na\nc\na\n";
  const std::string after = "a\nb\nA\nc\na\n";
  const Passage passage = ChangedPassage(before, after);
  EXPECT_EQ(Applied(before, passage), after);
}

TEST(ChangedPassageTest, AnyEditOfAnyTextComesOutAsItWas) {
  Random random(7);
  const char alphabet[] = "ab\n\xc3\xa9";
  const auto text = [&](uint64_t size_max) {
    std::string made;
    for (uint64_t size = random.Below(size_max); made.size() < size;) {
      made += alphabet[random.Below(sizeof alphabet - 1)];
    }
    return made;
  };
  for (int round = 0; round < 20'000; ++round) {
    const std::string before = text(24) + "x";
    const size_t begin = random.Below(before.size());
    const size_t count = random.Below(before.size() - begin + 1);
    const std::string after = before.substr(0, begin) + text(6) + before.substr(begin + count);
    if (after == before || after.empty()) continue;
    ASSERT_EQ(Applied(before, ChangedPassage(before, after)), after)
        << testing::PrintToString(before);
  }
}

}  // namespace
}  // namespace taskmint::orchestrator
