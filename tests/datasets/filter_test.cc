// --where: what an expression may say, and what it cannot reach.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/task_filter.h"
#include "tests/datasets/store_fixture.h"

namespace taskmint::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Which = Store::Which;

class FilterTest : public StoreTest {
 protected:
  void SetUp() override {
    store_ = Open();
    ASSERT_TRUE(CreateSampleRun(*store_, "run", 3).ok());
    Finish(*store_, Kept("run", 0, "a"));
    Finish(*store_, Kept("run", 1, "b"));
    Finish(*store_, Rejected("run", 2, "lint: no licence"));
  }
  std::unique_ptr<Store> store_;
};

TEST_F(FilterTest, EveryColumnOfTheViewCanBeUsed) {
  const std::string commit = SampleCandidate("run", 1).commit();
  for (const std::string& where :
       {"commit = '" + commit + "'", "\"commit\" = '" + commit + "'", "COMMIT='" + commit + "'",
        "commit_sha LIKE '" + commit.substr(0, 8) + "%'", "id = '" + IdOf("b") + "'",
        std::string("prompt LIKE '%fix b%' -- the second"),
        std::string("prompt = 'Fix b' AND kept AND category = 'code' AND language = 'python' AND "
                    "source = '/src/run' AND licence = 'MIT' AND fail_to_pass = 1 AND "
                    "pass_to_pass = 0 AND error_to_pass = 0 AND mutation_score > 0.7 AND "
                    "reason IS NULL AND created_ms > 0 AND run = 1 AND position = 1"),
        std::string("position = (SELECT max(position) FROM task_view WHERE kept)")}) {
    EXPECT_THAT(Ids(*store_, where), ElementsAre(IdOf("b"))) << where;
  }
  EXPECT_THAT(Ids(*store_, "reason LIKE 'lint%'", Which::kAll), SizeIs(1));
  EXPECT_THAT(Ids(*store_, " \n", Which::kAll), SizeIs(3));
  EXPECT_THAT(Ids(*store_, "prompt != ' commit '"), SizeIs(2));
}

// Deeper than SQLite takes; brackets alone have no depth in its later versions.
std::string Negated(int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += "NOT ";
  return text;
}

TEST_F(FilterTest, WhatIsNoExpressionIsRefusedInSqlitesWords) {
  const Status status = store_->List(Which::kAll, "comit = 1").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("no such column: comit"));
  for (const std::string& where :
       {std::string("1) OR (1"), std::string("kept AND"), std::string("'"), std::string("(1"),
        std::string("1 -- x\n) --"), std::string("1; SELECT 1"), std::string("1\0 2", 4),
        std::string(20'000, ' ') + "1", Negated(3'000) + "1"}) {
    const Status refused = store_->List(Which::kAll, where).status();
    EXPECT_EQ(refused.code(), Code::kInvalidArgument) << where.substr(0, 50);
  }
}

TEST_F(FilterTest, NoExpressionReachesWhatIsNotAskedFor) {
  for (const char* where : {"0) OR (1", "0 /* ( */) OR (1", "'(' = '') OR (1", "0 -- (\n) OR (1",
                            "\"(\" = 1) OR (1", "0) UNION SELECT * FROM task_view WHERE (1"}) {
    for (const Which which : {Which::kKept, Which::kRejected}) {
      EXPECT_EQ(store_->List(which, where).status().code(), Code::kInvalidArgument) << where;
    }
  }
  EXPECT_THAT(Ids(*store_, "kept OR 1", Which::kRejected), SizeIs(1));
  EXPECT_THAT(Ids(*store_, "kept = 0 OR 1", Which::kKept), SizeIs(2));
  EXPECT_THAT(Ids(*store_, "prompt != ')' /* :-) */ AND (1) -- )"), SizeIs(2));
}

TEST_F(FilterTest, AuthorizerRefusesEverythingButTheView) {
  for (const char* where :
       {"1); DROP TABLE jobs; --",
        "1); ATTACH 'x.sqlite' AS x; --",
        "1); PRAGMA user_version=9; --",
        "(SELECT count(*) FROM jobs)",
        "(SELECT count(*) FROM sqlite_master)",
        "(SELECT job FROM runs)",
        "(SELECT user_version FROM pragma_user_version)",
        "load_extension('x')",
        "readfile('/etc/passwd')",
        "zeroblob(1000000000)",
        "randomblob(100000000)",
        "printf('%1000000d', 1)",
        "fts3_tokenizer('x')",
        "(WITH task_view AS (SELECT job AS id FROM runs) SELECT id FROM task_view)",
        "(WITH task_view AS (SELECT worker FROM jobs) SELECT 1 FROM task_view)",
        "(WITH task_view AS (SELECT record AS id FROM evidence) SELECT id FROM task_view)",
        "(SELECT 1 FROM (SELECT record FROM candidate_records) AS task_view)",
        "(SELECT count(*) FROM runs JOIN (SELECT 'run' AS id) USING(id))",
        "(SELECT count(*) FROM runs natural JOIN (SELECT 'run' AS id))",
        "1) UNION SELECT 1, id, 1, 1, 1, 1, 1 FROM jobs --",
        "(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM "
        "r)"}) {
    const Status status = store_->List(Which::kAll, where).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << where << ": " << status.ToString();
  }
  EXPECT_TRUE(store_->Check()->damaged.empty());
  EXPECT_THAT(Ids(*store_, "", Which::kAll), SizeIs(3));
}

TEST_F(FilterTest, WithoutCommitsNoneIsComparedOrShown) {
  const FilterBounds bounds{false, {}};
  const std::string is = " = '" + SampleCandidate("run", 1).commit() + "'";
  for (const std::string& where :
       {"commit" + is, "Commit_SHA" + is, "\"commit\"" + is, "[commit]" + is, "`commit_sha`" + is,
        "(SELECT max(commit) FROM task_view)" + is, std::string("position = 1"),
        std::string("\"run\" = 1"), std::string("(SELECT max(position) FROM task_view) > 0"),
        std::string("'x' IN (SELECT prompt FROM (SELECT * FROM task_view))")}) {
    const Status status = store_->List(Which::kAll, where, bounds).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << where;
    EXPECT_THAT(status.message(), HasSubstr("may see solutions")) << where;
  }
  const auto rows = store_->List(
      Which::kKept, "prompt != 'commit' AND prompt != 'position' AND created_ms > 0", bounds);
  ASSERT_TRUE(rows.ok()) << rows.status().ToString();
  EXPECT_THAT(*rows, SizeIs(2));
  EXPECT_EQ(rows->front().commit, "");
}

TEST_F(StoreTest, AFilterThatNobodyWaitsForIsStopped) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "run", 100).ok());
  Run("UPDATE candidates SET state = 3");
  std::stop_source source;
  source.request_stop();
  const Status status =
      store
          ->List(Which::kAll,
                 "(SELECT count(*) FROM task_view a, task_view b, task_view c, task_view d)",
                 {true, source.get_token()})
          .status();
  EXPECT_EQ(status.code(), Code::kCancelled) << status.ToString();
}

TEST_F(StoreTest, EndlessFilterIsStopped) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "run", 100).ok());
  Run("UPDATE candidates SET state = 3");
  const auto begin = std::chrono::steady_clock::now();
  const std::string endless =
      "(SELECT count(*) FROM task_view a, task_view b, task_view c, task_view d, task_view e)";
  const Status status =
      FilterTasks(database_, sqlite::Access::kReadOnly, Which::kAll, endless, 200).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("longer than"));
  // Within one call of a function nobody looks at the clock.
  const std::string a(3'000, 'a');
  const std::string grown = "replace('" + a + "', 'a', '" + a + "')";
  const std::string wheres[] = {"instr(" + grown + ", '" + a + "b') > 0",
                                grown + " > ''",
                                "instr(prompt, prompt || 'b') > 0",
                                "trim(prompt, prompt) = ''",
                                "ltrim(prompt, prompt) = ''",
                                "rtrim(prompt, prompt) = ''"};
  for (const std::string& where : wheres) {
    const Status refused =
        FilterTasks(database_, sqlite::Access::kReadOnly, Which::kAll, where, 200).status();
    EXPECT_EQ(refused.code(), Code::kInvalidArgument) << where.substr(0, 100);
    EXPECT_THAT(refused.message(), HasSubstr("is not allowed in a filter"));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace taskmint::datasets
