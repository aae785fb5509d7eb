#include <gmock/gmock.h>

#include "environments/repository/candidate.h"

namespace taskmint::environments {
namespace {

using testing::HasSubstr;

constexpr char kIssue[] = R"({"number": 7, "title": "NaN passes", "body": null, "labels": []})";
constexpr char kPullInIssues[] =
    R"({"number": 8, "title": "Reject NaN", "body": "Fixes #7",
        "pull_request": {"url": "https://x", "merged_at": "2024-01-01T00:00:00Z"}})";
constexpr char kPull[] =
    R"({"number": 8, "title": "Reject NaN", "merged_at": "2024-01-01T00:00:00Z",
        "merge_commit_sha": "0123456789abcdef0123456789abcdef01234567",
        "head": {"sha": "89abcdef0123456789abcdef0123456789abcdef", "repo": {"x": [1, {}]}}})";

std::string OneLine(std::string text) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

TEST(ParseIssuesTest, TakesArraysLinesAndPagesAlike) {
  const std::string a = kIssue;
  const std::string b = kPullInIssues;
  const std::string c = kPull;
  for (const std::string& text :
       {"[" + a + "," + b + "," + c + "]", OneLine(a) + "\n" + OneLine(b) + "\n" + OneLine(c),
        "[" + a + "]\n[" + b + "," + c + "]", "[[" + a + "],[],[" + b + "," + c + "]]",
        "\xEF\xBB\xBF" + c + "\r\n\r\n" + b + a}) {
    const auto parsed = ParseIssues(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    ASSERT_EQ(parsed->size(), 2u);
    EXPECT_EQ((*parsed)[0].number, 7);
    EXPECT_FALSE((*parsed)[0].is_pull_request);
    EXPECT_EQ((*parsed)[0].body, "");
    EXPECT_TRUE((*parsed)[1].is_pull_request);
    EXPECT_EQ((*parsed)[1].body, "Fixes #7");
    EXPECT_EQ((*parsed)[1].merge_commit_sha, "0123456789abcdef0123456789abcdef01234567");
    EXPECT_EQ((*parsed)[1].head_sha, "89abcdef0123456789abcdef0123456789abcdef");
  }
}

TEST(ParseIssuesTest, TrialMergeOfAnUnmergedPullIsNoMerge) {
  const auto parsed = ParseIssues(
      R"([{"number": 3, "title": "t", "merged_at": null,
           "merge_commit_sha": "0123456789abcdef0123456789abcdef01234567"}])");
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->at(0).is_pull_request);
  EXPECT_EQ(parsed->at(0).merge_commit_sha, "");
}

TEST(ParseIssuesTest, SkipsWhatHasNoNumberAndTakesOddFields) {
  const auto parsed = ParseIssues(
      R"([{"title": "x"}, {"number": "9"}, {"number": -1}, {"number": 1e99},
          {"number": 5, "title": ["no"], "body": 3, "head": "x", "merge_commit_sha": "zz"}])");
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  ASSERT_EQ(parsed->size(), 1u);
  EXPECT_EQ(parsed->at(0).number, 5);
  EXPECT_EQ(parsed->at(0).title, "");
}

TEST(ParseIssuesTest, EmptyFilesAndListsHoldNothing) {
  for (const char* text : {"", "\n \n", "[]", "[[],[]]", "\xEF\xBB\xBF"}) {
    const auto parsed = ParseIssues(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    EXPECT_TRUE(parsed->empty());
  }
}

TEST(ParseIssuesTest, NamesTheLineThatIsNotJson) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{\"number\": 1}\n\noops", "line 3"}, {"[\n{\"number\": 1}\n{\"number\": 2}]", "line 3"},
      {"[{\"number\": 1}", "does not end"},  {"{\"number\": 1", "does not end"},
      {"[1]", "an object is expected"},      {"[[[[{}]]]]", "nest too deep"},
      {"{\"a\": \"\\", "does not end"},      {"{\"a\": tru}", "line 1"},
      {"[{},]", "an object is expected"},    {"]", "an object is expected"}};
  for (const auto& [text, words] : kCases) {
    const auto parsed = ParseIssues(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(parsed.status().boundary(), Boundary::kConfig);
    EXPECT_THAT(parsed.status().message(), HasSubstr(words));
  }
}

TEST(ParseIssuesTest, SaysThatAnotherKindOfFileHoldsNoIssues) {
  const auto parsed = ParseIssues(R"({"total_count": 1, "items": []})");
  ASSERT_FALSE(parsed.ok());
  EXPECT_THAT(parsed.status().message(), HasSubstr("GitHub's REST v3"));
}

}  // namespace
}  // namespace taskmint::environments
