#include <gmock/gmock.h>

#include "environments/repository/candidate.h"
#include "environments/repository/prompt_cleaning.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kSha[] = "0123456789abcdef0123456789abcdef01234567";

struct Cleaning {
  const char* raw;
  const char* clean;
};

TEST(CleanPromptTest, LeavesWhatIsToBeDone) {
  const Cleaning kCases[] = {
      // Squash merges and closing words.
      {"Handle empty headers (#123)", "Handle empty headers"},
      {"Handle empty headers (#123) (#124)", "Handle empty headers"},
      {"Fix crash on empty input, fixes #12", "Fix crash on empty input"},
      {"Correctly use buffer for else frame. Fixes #669\n", "Correctly use buffer for else frame."},
      {"Fix #12: crash on empty input", "crash on empty input"},
      {"Fixed #12345 -- Foo crashed on bar", "Foo crashed on bar"},
      {"Issue 1214: Update __eq__", "Update __eq__"},
      {"[#77] Reject NaN", "Reject NaN"},
      {"GH-8: Reject NaN", "Reject NaN"},
      {"Reject NaN (closes GH-8)", "Reject NaN"},
      {"Reject NaN\n\nCloses https://github.com/a/b/issues/3", "Reject NaN"},
      {"Reject NaN\n\nFixes #1, fixes #2 and #3.\n", "Reject NaN"},
      {"Fix bug (issue #2593)", "Fix bug"},
      // What is not a reference stays.
      {"Fix: reject NaN", "Fix: reject NaN"},
      {"Raise as was reported at #5367.", "Raise as was reported at #5367."},
      {"Drop support for version 3.7", "Drop support for version 3.7"},
      // Trailers.
      {"Reject NaN\n\nSigned-off-by: A <a@b.c>\nCo-authored-by: B <b@c.d>\n", "Reject NaN"},
      {"Reject NaN\n\nChange-Id: I0123\nReviewed-on: https://x/1\nReviewed-by: C", "Reject NaN"},
      {"Reject NaN\n\n--HG--\nbranch : trunk\n", "Reject NaN"},
      {"Reject NaN\n\ngit-svn-id: svn://x@12 abc\n", "Reject NaN"},
      {"Reject NaN\n\n* Add news fragment\n\n* fix lint\n\n---------\n", "Reject NaN"},
      {"Merge pull request #12 from a/b\n\nReject NaN", "Reject NaN"},
      {"Reject NaN [ci skip]", "Reject NaN"},
      {"Reject NaN\n\n(cherry picked from commit abc1234)", "Reject NaN"},
      {"Reject NaN\n\ncc @somebody", "Reject NaN"},
      {"Reported by Jo <jo@example.org> today", "Reported by Jo today"},
      // SHAs and links to the fix.
      {"Regression since 4e0af4b in join", "Regression since in join"},
      {"Regression since 4e0af4b", "Regression since"},
      {"Broken in commit 4e0af4b4c1817fce5fb458530bb954b3c101b8aa.", "Broken."},
      {"Broken ([`4e0af4b`](https://github.com/a/b/commit/4e0af4b4)) now", "Broken () now"},
      {"See https://github.com/a/b/pull/7/files for NaN", "See  for NaN"},
      {"See [the fix](https://github.com/a/b/pull/7) for NaN", "See the fix for NaN"},
      {"Try https://github.com/a/b/compare/main...x.diff or wait", "Try  or wait"},
      {"At https://github.com/a/b/blob/4e0af4b4c1817fce5fb458530bb954b3c101b8aa/src/a.py#L3 it",
       "At src/a.py#L3 it"},
      // Hexadecimal that is no SHA.
      {"Colour 1234567 and defaced and 0xdeadbeef1 stay",
       "Colour 1234567 and defaced and 0xdeadbeef1 stay"},
      {"md5 d41d8cd98f00b204e9800998ecf8427e stays", "md5 d41d8cd98f00b204e9800998ecf8427e stays"},
      {"call foo() (#12)", "call foo()"},
      // Templates.
      {"Reject NaN\n<!-- please fill in -->\n- [x] I have read it\n## Checklist\n\n", "Reject NaN"},
      {"NaN passes\n\n**Describe the bug**\nA clear and concise description of what the bug is.\n\n"
       "**To reproduce**\nCall it",
       "NaN passes\n\n**To reproduce**\nCall it"},
      {"NaN passes\n\n### Screenshots\n\n_No response_\n", "NaN passes"},
      // Hidden and odd characters, line ends, encodings.
      {"one\r\ntwo\rthree", "one\ntwo\nthree"},
      {"a\x1b[31mb\xE2\x80\xAE"
       "c",
       "a[31mbc"},
      {"caf\xe9", "caf\xc3\xa9"},
      {"", ""},
  };
  for (const Cleaning& c : kCases) {
    EXPECT_EQ(CleanPrompt(c.raw), c.clean) << c.raw;
    EXPECT_EQ(CleanPrompt(c.clean), c.clean) << "cleaning twice: " << c.raw;
  }
}

TEST(CleanPromptTest, RemovesDiffsFencedOrNot) {
  const std::string diff =
      "diff --git a/x.py b/x.py\nindex 123..456 100644\n--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@\n"
      " same\n-old\n+secret\n\n";
  EXPECT_EQ(CleanPrompt("Reject NaN\n\n" + diff + "- a list\n- goes on"),
            "Reject NaN\n\n- a list\n- goes on");
  EXPECT_EQ(CleanPrompt("Reject NaN\n```diff\n-old\n+secret\n```\nplease"), "Reject NaN\nplease");
  EXPECT_EQ(CleanPrompt("Reject NaN\n```\n" + diff + "```\nplease"), "Reject NaN\nplease");
  EXPECT_EQ(CleanPrompt("Reject NaN\n```suggestion\nsecret\n```\n"), "Reject NaN");
  EXPECT_THAT(CleanPrompt("@@ -1 +1 @@\n-old\n+secret"), Not(HasSubstr("secret")));
}

TEST(CleanPromptTest, KeepsCodeThatReproduces) {
  const std::string text = "NaN passes:\n\n```python\nx = f(1)  # issue 12\nassert x\n```";
  EXPECT_EQ(CleanPrompt(text), text);
}

TEST(CleanPromptTest, IsValidAndBoundedWhateverComesIn) {
  std::string hostile(1 << 20, '(');
  for (size_t i = 0; i < hostile.size(); i += 7) hostile[i] = static_cast<char>(i * 31);
  const std::string clean = CleanPrompt(hostile);
  EXPECT_TRUE(IsUtf8(clean));
  EXPECT_LE(clean.size(), 40'000u);
}

TEST(WithoutFixCodeTest, RemovesTheFixFromCodeBlocksOnly) {
  const std::set<std::string, std::less<>> code = {"if math.isnan(value):", "x = 1"};
  EXPECT_EQ(WithoutFixCode("Try\n```\nif math.isnan(value):\n```\nplease", code), "Try\nplease");
  EXPECT_EQ(WithoutFixCode("Try\n```\nif math.isnan(value):\nkeep()\n```", code),
            "Try\n```\nkeep()\n```");
  EXPECT_EQ(WithoutFixCode("Try\n\n    if math.isnan(value):\n\nplease", code), "Try\n\n\nplease");
  EXPECT_EQ(WithoutFixCode("Try\n```\nx = 1\n```", code), "Try\n```\nx = 1\n```");
}

TEST(WhyUnderspecifiedTest, RefusesWhatSaysTooLittle) {
  for (const char* text :
       {"", "fix", "Fix typo", "wip", "fix tests", "bump version", "Bump version to 1.2.3",
        "update", "Minor fixes", "stuff and things and stuff", "Fix linting issues",
        "Add unit tests", "release 1.0", "v2.34.2", "CHANGELOG & small nits", "blah",
        "Revert \"Handle the empty header in the parser\"", "more more more more more",
        "\xE4\xBF\xAE"}) {
    EXPECT_THAT(WhyUnderspecified(text), Not(IsEmpty())) << text;
  }
}

TEST(WhyUnderspecifiedTest, TakesWhatAPersonCouldWorkFrom) {
  for (const char* text :
       {"Handle inherited __annotations__", "Make separate.__contains__ work when values are given",
        "Guard against users sending unprepared requests.", "map filter can use False as default",
        "Allow to pass a list to native_concat",
        "\xE4\xBF\xAE\xE5\xA4\x8D\xE7\xA9\xBA\xE8\xBE\x93\xE5\x85\xA5\xE6\x97\xB6\xE5\xB4\xA9\xE6"
        "\xBA\x83"}) {
    EXPECT_THAT(WhyUnderspecified(text), IsEmpty()) << text;
  }
}

TEST(FindReferencesTest, TellsClosedFromMentioned) {
  const IssueReferences references = FindReferences(
      "Fix parser (#90)\n\nFixes #12, #13 and GH-14. Resolves: "
      "https://github.com/a/b/issues/15\nsee issue 16; Closes #12\n");
  EXPECT_THAT(references.closed, ElementsAre(12, 13, 14, 15));
  EXPECT_THAT(references.mentioned, ElementsAre(90, 16));
  EXPECT_THAT(FindReferences("prefix #9 fixture 3 #99999999999999999999 version 1.2").closed,
              IsEmpty());
}

IssueRecord Issue(int64_t number, const std::string& title, const std::string& body) {
  IssueRecord record;
  record.number = number;
  record.title = title;
  record.body = body;
  return record;
}

IssueRecord Pull(int64_t number, const std::string& title, const std::string& body) {
  IssueRecord record = Issue(number, title, body);
  record.is_pull_request = true;
  return record;
}

CommitInfo Commit(const std::string& message) {
  CommitInfo commit;
  commit.sha = kSha;
  commit.message = message;
  return commit;
}

TEST(WritePromptTest, PrefersTheLinkedIssue) {
  const std::vector<IssueRecord> issues = {
      Issue(12, "Parser crashes on empty header lines", "Call parse('') and see."),
      Pull(90, "Guard the header parser against emptiness", "Fixes #12")};
  for (const char* message : {"Guard it (#90)", "Guard it\n\nFixes #12", "Issue 12: guard it"}) {
    const PromptOutcome outcome = WritePrompt(Commit(message), issues);
    EXPECT_EQ(outcome.prompt.source(), v1::Prompt::SOURCE_ISSUE) << message;
    EXPECT_EQ(outcome.prompt.number(), 12);
    EXPECT_EQ(outcome.prompt.text(),
              "Parser crashes on empty header lines\n\nCall parse('') and see.");
    EXPECT_THAT(outcome.issue_numbers, testing::Contains(12));
  }
}

TEST(WritePromptTest, TakesThePullRequestWhereNoIssueIsLinked) {
  IssueRecord pull = Pull(90, "Guard the header parser against emptiness", "It crashed.");
  for (std::string IssueRecord::*sha : {&IssueRecord::merge_commit_sha, &IssueRecord::head_sha}) {
    pull.merge_commit_sha.clear();
    pull.*sha = kSha;
    const PromptOutcome outcome = WritePrompt(Commit("wip"), {pull});
    EXPECT_EQ(outcome.prompt.source(), v1::Prompt::SOURCE_PULL_REQUEST);
    EXPECT_EQ(outcome.prompt.number(), 90);
    EXPECT_THAT(outcome.prompt.text(), HasSubstr("It crashed."));
  }
}

TEST(WritePromptTest, FallsBackToTheMessageAndRefusesEmptyOnes) {
  const std::vector<IssueRecord> issues = {Issue(12, "Bug", "")};
  const PromptOutcome outcome =
      WritePrompt(Commit("Guard the header parser against emptiness\n\nFixes #12"), issues);
  EXPECT_EQ(outcome.prompt.source(), v1::Prompt::SOURCE_COMMIT_MESSAGE);
  EXPECT_EQ(outcome.prompt.text(), "Guard the header parser against emptiness");
  EXPECT_THAT(outcome.issue_numbers, ElementsAre(12));
  const PromptOutcome refused = WritePrompt(Commit("fix #12"), issues);
  EXPECT_EQ(refused.refusal.reason, "underspecified");
  EXPECT_THAT(refused.refusal.detail, Not(IsEmpty()));
  EXPECT_EQ(refused.prompt.text(), "");
}

}  // namespace
}  // namespace taskmint::environments
