#include "environments/repository/candidate.h"

#include <gmock/gmock.h>

#include "tests/environments/git_fixture.h"
#include "tests/environments/must_open.h"

namespace taskmint::environments {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const LanguageDriver& Python() { return *FindDriver("python"); }

std::vector<std::string> Shas(const std::vector<CandidateCommit>& commits) {
  std::vector<std::string> shas;
  for (const CandidateCommit& commit : commits) shas.push_back(commit.sha);
  return shas;
}

// A small history: a start, a commit of code alone, of tests alone, and fixes.
class CandidateTest : public testing::Test {
 protected:
  CandidateTest() {
    work_.Write("calc.py", "def half(x):\n    return x / 3\n");
    work_.Write("tests/test_calc.py", "def test_nothing():\n    pass\n");
    work_.Write("tests/test_old.py", "def test_old():\n    pass\n");
    work_.Write("conftest.py", "");
    start_ = work_.Commit("start", 1'600'000'000);
    work_.Write("calc.py", "def half(x):\n    return x / 4\n");
    work_.Commit("code alone");
    work_.Write("tests/test_calc.py", "def test_nothing():\n    assert True\n");
    work_.Commit("tests alone");
    work_.Write("calc.py", "def half(x):\n    return x / 2\n");
    work_.Write("CHANGES.md", "half is right\n");
    work_.Write("conftest.py", "collect_ignore = []\n");
    work_.Write("tests/test_calc.py",
                "import calc\n\ndef test_half():\n    assert calc.half(2) == 1\n");
    work_.Run("rm tests/test_old.py");
    fix_ = work_.Commit("Return the half of odd numbers, not a quarter (#4)", 1'700'000'000);
  }

  ProposalOutcome MustPropose(const CandidateCommit& candidate,
                              const std::vector<IssueRecord>& issues = {},
                              const ReadLimits& limits = {}) {
    auto outcome = Propose(*MustOpen(work_.path()), Python(), candidate, issues, limits);
    EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
    return std::move(outcome).value();
  }
  std::vector<CandidateCommit> Find(const CandidateQuery& query = {},
                                    const std::vector<IssueRecord>& issues = {}) {
    auto found = FindCandidates(*MustOpen(work_.path()), Python(), query, issues, {}, {});
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    return std::move(found).value();
  }

  WorkTree work_;
  std::string start_;
  std::string fix_;
};

TEST_F(CandidateTest, TouchesBothSourceAndTests) { EXPECT_THAT(Shas(Find()), ElementsAre(fix_)); }

TEST_F(CandidateTest, TheSearchSaysHowFarItIsAndStops) {
  std::vector<std::pair<int64_t, int64_t>> said;
  std::stop_source stop;
  const auto tell = [&](int64_t looked_at, int64_t commits) {
    said.emplace_back(looked_at, commits);
    if (looked_at == 2) stop.request_stop();
  };
  const auto found =
      FindCandidates(*MustOpen(work_.path()), Python(), {}, {}, tell, stop.get_token());
  EXPECT_EQ(found.status().code(), Code::kCancelled);
  EXPECT_THAT(said,
              ElementsAre(std::pair<int64_t, int64_t>(1, 3), std::pair<int64_t, int64_t>(2, 3)));
  EXPECT_EQ(MustOpen(work_.path())->Commits(fix_, stop.get_token()).status().code(),
            Code::kCancelled);
}

TEST_F(CandidateTest, CommitsOfOtherDatesAreNotEvenCompared) {
  CandidateQuery query;
  query.since_s = 1'650'000'000;
  int64_t total = 0;
  const auto tell = [&total](int64_t, int64_t commits) { total = commits; };
  ASSERT_TRUE(FindCandidates(*MustOpen(work_.path()), Python(), query, {}, tell, {}).ok());
  EXPECT_EQ(total, 1);
}

TEST_F(CandidateTest, OrderIsDrawnFromTheSeedAndNothingElse) {
  for (int i = 0; i < 8; ++i) {
    work_.Write("calc.py", "x = " + std::to_string(i) + "\n");
    work_.Write("tests/test_calc.py", "y = " + std::to_string(i) + "\n");
    work_.Commit("change " + std::to_string(i));
  }
  CandidateQuery query;
  query.seed = 1;
  const auto first = Shas(Find(query));
  EXPECT_EQ(first.size(), 9u);
  EXPECT_EQ(Shas(Find(query)), first);
  query.seed = 2;
  const auto second = Shas(Find(query));
  EXPECT_NE(second, first);
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(first));
  // Later commits do not move earlier ones.
  query.until_s = 1'650'000'000;
  std::vector<std::string> early = Shas(Find(query));
  auto at = second.begin();
  for (const std::string& sha : early) {
    at = std::find(at, second.end(), sha);
    EXPECT_NE(at, second.end());
  }
}

TEST_F(CandidateTest, KeepsToTheDatesGiven) {
  CandidateQuery query;
  query.since_s = 1'650'000'000;
  EXPECT_THAT(Shas(Find(query)), ElementsAre(fix_));
  query.until_s = 1'660'000'000;
  EXPECT_TRUE(Find(query).empty());
}

TEST_F(CandidateTest, MergeOfAPullRequestIsOneOnlyWhenThePullIsKnown) {
  work_.Git("checkout -q -b topic");
  work_.Write("calc.py", "def half(x):\n    return x // 2\n");
  work_.Commit("wip");
  work_.Write("tests/test_calc.py", "import calc\n");
  work_.Commit("wip");
  work_.Git("checkout -q main");
  work_.Git("merge -q --no-ff -m merge topic");
  const std::string merge = work_.Git("rev-parse HEAD");
  EXPECT_THAT(Shas(Find()), ElementsAre(fix_));
  IssueRecord pull;
  pull.number = 9;
  pull.is_pull_request = true;
  pull.title = "Halves are whole numbers from now on";
  pull.merge_commit_sha = merge;
  const auto found = Find({}, {pull});
  EXPECT_THAT(Shas(found), testing::UnorderedElementsAre(fix_, merge));
  const CandidateCommit& candidate = found[0].sha == merge ? found[0] : found[1];
  EXPECT_EQ(candidate.parent_sha, fix_);
  const ProposalOutcome outcome = MustPropose(candidate, {pull});
  EXPECT_EQ(outcome.refusal.reason, "");
  EXPECT_EQ(outcome.proposal.prompt.source(), v1::Prompt::SOURCE_PULL_REQUEST);
}

TEST_F(CandidateTest, ProposalSplitsTheFixByRole) {
  const ProposalOutcome outcome = MustPropose(Find().front());
  ASSERT_EQ(outcome.refusal.reason, "") << outcome.refusal.detail;
  const Proposal& proposal = outcome.proposal;
  EXPECT_EQ(*proposal.gold_tree.Find("calc.py")->content, "def half(x):\n    return x / 2\n");
  EXPECT_TRUE(proposal.gold_tree.Contains("CHANGES.md"));
  EXPECT_EQ(*proposal.gold_tree.Find("conftest.py")->content, "");
  EXPECT_EQ(*proposal.gold_tree.Find("tests/test_calc.py")->content,
            "def test_nothing():\n    assert True\n");
  EXPECT_EQ(proposal.overlay.size(), 2u);
  EXPECT_EQ(*proposal.overlay.Find("conftest.py")->content, "collect_ignore = []\n");
  EXPECT_THAT(proposal.removed_paths, ElementsAre("tests/test_old.py"));
  EXPECT_THAT(proposal.test_files, ElementsAre("tests/test_calc.py"));
  EXPECT_THAT(proposal.gold_patch, HasSubstr("+    return x / 2"));
  EXPECT_THAT(proposal.gold_patch, Not(HasSubstr("test_calc")));
  EXPECT_EQ(proposal.prompt.text(), "Return the half of odd numbers, not a quarter");
  EXPECT_THAT(proposal.issue_numbers, ElementsAre(4));
  EXPECT_EQ(proposal.licence.spdx_id(), "unknown");
}

TEST_F(CandidateTest, CodeOfTheFixLeavesThePrompt) {
  IssueRecord issue;
  issue.number = 4;
  issue.title = "half(2) is not one as it should be";
  issue.body = "Use this:\n\n```python\n    return x / 2\n```\n\nThanks!";
  const ProposalOutcome outcome = MustPropose(Find().front(), {issue});
  EXPECT_EQ(outcome.proposal.prompt.source(), v1::Prompt::SOURCE_ISSUE);
  EXPECT_THAT(outcome.proposal.prompt.text(), Not(HasSubstr("return x / 2")));
  EXPECT_THAT(outcome.proposal.prompt.text(), HasSubstr("half(2) is not one"));
}

TEST_F(CandidateTest, RefusalsSayWhy) {
  const auto with_message = [this](const std::string& message) {
    work_.Write("calc.py", message);
    work_.Write("tests/test_calc.py", message);
    work_.Commit(message);
    return CandidateCommit{work_.Git("rev-parse HEAD"), work_.Git("rev-parse HEAD~1")};
  };
  EXPECT_EQ(MustPropose(with_message("fix tests")).refusal.reason, "underspecified");

  work_.Write("calc.py", "removed = True\n");
  work_.Run("rm tests/test_calc.py");
  work_.Commit("Remove the tests of halves, nobody needs those");
  const ProposalOutcome untested =
      MustPropose({work_.Git("rev-parse HEAD"), work_.Git("rev-parse HEAD~1")});
  EXPECT_EQ(untested.refusal.reason, "lint");
  EXPECT_THAT(untested.refusal.detail, HasSubstr("no test file"));

  ReadLimits limits;
  limits.change_bytes_max = 10;
  const ProposalOutcome large = MustPropose(Find().front(), {}, limits);
  EXPECT_EQ(large.refusal.reason, "lint");
  EXPECT_THAT(large.refusal.detail, HasSubstr("limit: "));
}

TEST_F(CandidateTest, MissingObjectRejectsItsCommitAlone) {
  work_.Write("calc.py", "value = 'gone'\n");
  work_.Write("tests/test_calc.py", "value = 1\n");
  const std::string broken = work_.Commit("Return nothing but the gone value of halves");
  work_.Write("calc.py", "value = 'back'\n");
  work_.Write("tests/test_calc.py", "value = 2\n");
  work_.Commit("Return the value of halves that is back");
  const std::string blob = work_.Git("rev-parse " + broken + ":calc.py");
  work_.Run("rm -f .git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2));
  const auto found = Find();
  EXPECT_EQ(found.size(), 3u);
  int missing = 0;
  for (const CandidateCommit& candidate : found) {
    const ProposalOutcome outcome = MustPropose(candidate);
    if (outcome.refusal.reason.empty()) continue;
    ++missing;
    EXPECT_EQ(outcome.refusal.reason, "lint");
    EXPECT_THAT(outcome.refusal.detail, HasSubstr(blob));
  }
  // The commit itself, and the one that has it as parent.
  EXPECT_EQ(missing, 2);
}

TEST_F(CandidateTest, FiftyMegabyteDiffIsRefusedQuickly) {
  work_.Write("calc.py", std::string(50 << 20, 'x'));
  work_.Write("tests/test_calc.py", "value = 2\n");
  const std::string large = work_.Commit("Return an astonishingly large value for halves");
  const auto found = Find();
  ASSERT_EQ(found.size(), 2u);
  const CandidateCommit& candidate = found[0].sha == large ? found[0] : found[1];
  const ProposalOutcome outcome = MustPropose(candidate);
  EXPECT_EQ(outcome.refusal.reason, "lint");
  EXPECT_THAT(outcome.refusal.detail, HasSubstr("limit: changed files of more than"));
}

}  // namespace
}  // namespace taskmint::environments
