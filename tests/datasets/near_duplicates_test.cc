// What counts as alike, and that nothing alike is missed.
#include "datasets/near_duplicates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "proto/base/random.h"

namespace taskmint::datasets {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(MaskLiteralsTest, StringsNumbersDatesAndHashesAreOneSign) {
  const std::pair<const char*, const char*> kTexts[] = {
      {"Return \"A b\" NOW", "return # now"},
      {R"(say("a \" b") + "")", "say(#) + #"},
      {R"({"name": "Ada", "age" : 36})", R"({"name": #, "age" : #})"},
      {"5 inches are 5\"\nnext \"one\" more\"", "# inches are #\"\nnext # more\""},
      {"on 2024-05-01T12:00:00+02:00, at 12:30", "on #, at #"},
      {"0x7F 1e-5 3.14 1_000 v2 sha256 x1", "# # # # v2 sha256 x1"},
      {"@@ -12,7 +12,9 @@ def f(a=-1):", "@@ -#,# +#,# @@ def f(a=-#):"},
      {"at 3fa94c1 and deadbeef1 not facade or 2.", "at # and # not facade or #."},
      {"caf\xC3\xA9 1\xE5\xB9\xB4 \xFF\xFE", "caf\xC3\xA9 # \xFF\xFE"},
      {"'kept' as 'it is'", "'kept' as 'it is'"},
      {"", ""}};
  for (const auto& [text, masked] : kTexts) EXPECT_EQ(MaskLiterals(text), masked) << text;
}

TEST(MaskLiteralsTest, HostileTextTakesLinearTime) {
  // Each of these is quadratic for a scanner that begins anew at every quote.
  for (const char* unit : {"\"\\", "\\\"", "\"", "\"a\" ", "1-", "a.1:", " "}) {
    std::string text;
    while (text.size() < 2'000'000) text += unit;
    EXPECT_LE(MaskLiterals(text).size(), text.size());
  }
  EXPECT_THAT(ShinglesOf("\"a\"" + std::string(1'000'000, ' ')), SizeIs(1));
}

TEST(PatchTextTest, LinesThatOnlySayHowAToolWroteItAreDropped) {
  const std::string with =
      "diff --git a/a.py b/a.py\nindex 3fa94c1..77ab012 100644\n--- a/a.py\n+++ b/a.py\n"
      "@@ -1 +1 @@\n-index 1..2\n+index of it\n";
  EXPECT_EQ(PatchText(with),
            "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-index 1..2\n"
            "+index of it\n");
  for (const char* kept : {"index", "index abc", "index ..", "index a..b rest", "index a..", ""}) {
    EXPECT_EQ(PatchText(kept), kept);
  }
  EXPECT_EQ(PatchText("index a..b"), "");
  EXPECT_EQ(CodeTaskText("Fix it.", "index a..b 100644\r\n+x"), "Fix it. +x");
}

TEST(ShinglesTest, AreFiveWordsEachWhateverSeparatesThem) {
  EXPECT_THAT(ShinglesOf("a b c d e"), SizeIs(1));
  EXPECT_THAT(ShinglesOf("a b c d e f"), SizeIs(2));
  EXPECT_THAT(ShinglesOf("a b c d e a b c d e a b c d e"), SizeIs(5));
  EXPECT_EQ(ShinglesOf("a b c d e f"), ShinglesOf(" A\tb\r\nc\n\nd\v\fE  f\n"));
  EXPECT_NE(ShinglesOf("a b c d e"), ShinglesOf("b a c d e"));
  EXPECT_NE(ShinglesOf("ab c d e f"), ShinglesOf("a bc d e f"));
}

TEST(ShinglesTest, AShortTextIsOneShingleAndAnEmptyOneNone) {
  EXPECT_THAT(ShinglesOf(""), IsEmpty());
  EXPECT_THAT(ShinglesOf(" \n "), IsEmpty());
  EXPECT_THAT(ShinglesOf("Fix"), SizeIs(1));
  EXPECT_EQ(ShinglesOf("fix the bug"), ShinglesOf("Fix the bug"));
  EXPECT_NE(ShinglesOf("fix the"), ShinglesOf("fix the bug"));
}

Shingles Numbers(uint64_t seed, uint64_t begin, uint64_t end) {
  Shingles shingles;
  for (uint64_t i = begin; i < end; ++i) {
    shingles.push_back(Random((seed << 32) + i).Next());
  }
  std::sort(shingles.begin(), shingles.end());
  return shingles;
}

TEST(JaccardTest, IsTheShareOfWhatEitherHas) {
  EXPECT_EQ(Jaccard({1, 2, 3, 4}, {2, 3, 4, 5}), 0.6);
  EXPECT_EQ(Jaccard({1, 2}, {1, 2}), 1.0);
  EXPECT_EQ(Jaccard({1}, {2}), 0.0);
  EXPECT_EQ(Jaccard({}, {}), 0.0);
  EXPECT_EQ(Jaccard(Numbers(1, 0, 90), Numbers(1, 10, 100)), kNearDuplicate);
}

// The probability of a miss at 0.8 is 9.3e-7 a pair.
TEST(NearDuplicateIndexTest, NoPairAtTheThresholdIsMissedAndNoneBelowItFound) {
  constexpr size_t kPairs = 4'000;
  NearDuplicateIndex index;
  for (uint64_t i = 0; i < kPairs; ++i) {
    EXPECT_FALSE(index.Add(Numbers(i, 0, 90)).has_value());
  }
  for (uint64_t i = 0; i < kPairs; ++i) {
    // 79 of 101, then 80 of 100.
    EXPECT_THAT(index.Take(Numbers(i, 11, 101)), IsEmpty()) << i;
    const auto matches = index.Take(Numbers(i, 10, 100));
    ASSERT_THAT(matches, SizeIs(1)) << i;
    EXPECT_EQ(matches[0].document, i);
    EXPECT_EQ(matches[0].similarity, 0.8);
  }
}

std::string RandomWords(Random& random, size_t words) {
  std::string text;
  while (words-- > 0)
    text += "w" + std::string(1, static_cast<char>('a' + random.Below(26))) +
            std::to_string(random.Below(500)) + " ";
  return text;
}

// A text with each word replaced with a probability of `per_mille`.
std::string Changed(Random& random, const std::string& text, uint64_t per_mille) {
  std::string changed;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find(' ', at) + 1;
    changed += random.Below(1'000) < per_mille ? RandomWords(random, 1) : text.substr(at, end - at);
    at = end;
  }
  return changed;
}

TEST(NearDuplicateIndexTest, FlagsExactlyWhatBruteForceFlags) {
  Random random(7);
  std::vector<Document> documents;
  for (int family = 0; family < 60; ++family) {
    const std::string base = RandomWords(random, 20 + random.Below(200));
    documents.push_back({"", base});
    for (int i = 0; i < 12; ++i) {
      documents.push_back({"", Changed(random, base, random.Below(60))});
    }
  }
  for (size_t i = documents.size() - 1; i > 0; --i) {
    std::swap(documents[i], documents[random.Below(i + 1)]);
  }
  std::vector<Shingles> shingles;
  for (size_t i = 0; i < documents.size(); ++i) {
    documents[i].id = std::to_string(i);
    shingles.push_back(ShinglesOf(documents[i].text));
  }
  std::map<std::string, double> best;
  for (size_t i = 0; i < documents.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const double similarity = Jaccard(shingles[i], shingles[j]);
      if (similarity < kNearDuplicate) continue;
      double& of_document = best[documents[i].id];
      of_document = std::max(of_document, similarity);
    }
  }
  std::map<std::string, double> found;
  for (const NearPair& pair : FindNearDuplicates(documents)) {
    EXPECT_LT(std::stoi(pair.other), std::stoi(pair.id));
    EXPECT_EQ(pair.similarity,
              Jaccard(shingles[std::stoul(pair.id)], shingles[std::stoul(pair.other)]));
    EXPECT_TRUE(found.emplace(pair.id, pair.similarity).second);
  }
  EXPECT_EQ(found, best);
  EXPECT_GT(found.size(), 100U);
  EXPECT_LT(found.size(), documents.size() - 100U);
}

TEST(NearDuplicateIndexTest, EqualDocumentsAreOneEntry) {
  NearDuplicateIndex index;
  const Shingles shingles = Numbers(1, 0, 500);
  EXPECT_FALSE(index.Add(Numbers(2, 0, 500)).has_value());
  EXPECT_FALSE(index.Add(shingles).has_value());
  for (size_t i = 2; i < 10'000; ++i) {
    const auto match = index.Add(shingles);
    ASSERT_TRUE(match.has_value());
    EXPECT_EQ(match->document, 1U);
    EXPECT_EQ(match->similarity, 1.0);
  }
  EXPECT_THAT(index.Take(shingles), SizeIs(9'999));
  EXPECT_THAT(index.Take(shingles), IsEmpty());
}

// Every pair of them is alike by 0.9: all share their buckets.
TEST(NearDuplicateIndexTest, ACrowdIsFlaggedWhole) {
  NearDuplicateIndex index;
  const Shingles common = Numbers(1, 0, 180);
  for (uint64_t i = 0; i < 3'000; ++i) {
    Shingles member = Numbers(2 + i, 0, 10);
    member.insert(member.end(), common.begin(), common.end());
    std::sort(member.begin(), member.end());
    EXPECT_EQ(index.Add(std::move(member)).has_value(), i > 0) << i;
  }
  EXPECT_THAT(index.Take(common), SizeIs(3'000));
}

TEST(NearDuplicateIndexTest, WhatHasNoWordsIsNearNothing) {
  NearDuplicateIndex index;
  EXPECT_FALSE(index.Add({}).has_value());
  EXPECT_FALSE(index.Add({}).has_value());
  EXPECT_FALSE(index.Add({1}).has_value());
  EXPECT_THAT(index.Take({}), IsEmpty());
  EXPECT_THAT(index.Take({1}), SizeIs(1));
}

TEST(FindNearDuplicatesTest, LiteralsDoNotTellTwoTasksApart) {
  const std::string patch =
      "diff --git a/a.py b/a.py\nindex 1111111..2222222 100644\n--- a/a.py\n+++ b/a.py\n"
      "@@ -10,7 +10,7 @@ def limit(value):\n-    if value > 10:\n+    if value >= 10:\n"
      "         raise ValueError(\"too large\")\n";
  const std::string moved =
      "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n"
      "@@ -99,7 +99,7 @@ def limit(value):\n-    if value > 25:\n+    if value >= 25:\n"
      "         raise ValueError(\"too big\")\n";
  const auto pairs = FindNearDuplicates({{"a", CodeTaskText("The limit is off by one.", patch)},
                                         {"b", CodeTaskText("Nothing to do with it at all.", "")},
                                         {"c", CodeTaskText("The LIMIT is off by one.", moved)}});
  ASSERT_THAT(pairs, SizeIs(1));
  EXPECT_EQ(pairs[0].id, "c");
  EXPECT_EQ(pairs[0].other, "a");
  EXPECT_EQ(pairs[0].similarity, 1.0);
}

}  // namespace
}  // namespace taskmint::datasets
