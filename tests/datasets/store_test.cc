#include "datasets/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "datasets/schema.h"
#include "datasets/sqlite/connection.h"
#include "datasets/sqlite/migration.h"
#include "tests/datasets/child_process.h"
#include "tests/datasets/store_fixture.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;
using sqlite::Access;
using sqlite::Connection;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using Which = Store::Which;

TEST_F(StoreTest, MissingStoreSaysHowToMakeOne) {
  const Status status = OpenStatus(OpenMode::kReadOnly);
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("taskmint synth"));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(StoreTest, NewerMajorVersionIsRefusedAndLeftAlone) {
  Open();
  for (const char* sql : {"PRAGMA user_version=2", "PRAGMA user_version=99"}) {
    Run(sql);
    for (const OpenMode mode : {OpenMode::kReadOnly, OpenMode::kReadWrite, OpenMode::kCreate}) {
      const Status status = OpenStatus(mode);
      EXPECT_EQ(status.code(), Code::kFailedPrecondition);
      EXPECT_THAT(status.message(), HasSubstr("newer version of taskmint"));
    }
  }
  Run("PRAGMA user_version=1; UPDATE meta SET value='7.3' WHERE key='format'");
  EXPECT_THAT(OpenStatus(OpenMode::kReadWrite).message(), HasSubstr("format 7.3"));
}

TEST_F(StoreTest, NewerMinorVersionIsAccepted) {
  Open();
  Run("UPDATE meta SET value='1.9' WHERE key='format';"
      "ALTER TABLE candidates ADD COLUMN novelty TEXT NOT NULL DEFAULT ''");
  const auto store = Open(OpenMode::kReadWrite);
  ASSERT_TRUE(CreateSampleRun(*store, "run", 1).ok());
  Finish(*store, Kept("run", 0, "a"));
  EXPECT_THAT(Ids(*store, ""), SizeIs(1));
}

TEST_F(StoreTest, EmptyFileOfVersionZeroIsMigrated) {
  fs::create_directories(path_);
  std::ofstream(database_).close();
  const auto store = Open(OpenMode::kReadWrite);
  EXPECT_TRUE(CreateSampleRun(*store, "run", 1).ok());
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsRefused) {
  fs::create_directories(path_);
  Run("CREATE TABLE theirs(x)");
  const auto bytes = [&] {
    std::ifstream file(database_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  ASSERT_TRUE(Connection::Open(database_, Access::kCreate)
                  .value()
                  ->Execute("PRAGMA journal_mode = DELETE")
                  .ok());
  const std::string before = bytes();
  EXPECT_EQ(OpenStatus(OpenMode::kReadWrite).code(), Code::kFailedPrecondition);
  EXPECT_EQ(OpenStatus(OpenMode::kCreate).code(), Code::kFailedPrecondition);
  EXPECT_TRUE(bytes() == before) << "it is left as it was";
}

TEST_F(StoreTest, FileThatIsNoDatabaseIsDataLoss) {
  fs::create_directories(path_);
  std::ofstream(database_) << std::string(10'000, 'x');
  EXPECT_EQ(OpenStatus(OpenMode::kReadOnly).code(), Code::kDataLoss);
  EXPECT_EQ(OpenStatus(OpenMode::kReadWrite).code(), Code::kDataLoss);
}

TEST_F(StoreTest, StepsAreAppliedOnceAndInOrder) {
  const std::vector<sqlite::Migration> steps = {
      {{1, 0}, "CREATE TABLE t(a INTEGER) STRICT; INSERT INTO t VALUES(1)"},
      {{1, 1}, "ALTER TABLE t ADD COLUMN b INTEGER; UPDATE t SET b = a + 1"},
      {{2, 0}, "INSERT INTO t SELECT a + 10, b FROM t"}};
  const std::string file = folder_.path() + "/x.sqlite";
  {
    const auto old = Connection::Open(file, Access::kCreate).value();
    ASSERT_TRUE(Migrate(*old, {steps[0]}).ok());
  }
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto connection = Connection::Open(file, Access::kReadWrite).value();
      EXPECT_TRUE(Migrate(*connection, steps).ok());
    });
  }
  threads.clear();
  const auto connection = Connection::Open(file, Access::kReadWrite).value();
  EXPECT_EQ(connection->QueryInt("SELECT count(*) FROM t").value(), 2);
  EXPECT_EQ(connection->QueryInt("SELECT sum(b) FROM t").value(), 4);
  EXPECT_EQ(connection->QueryInt("PRAGMA user_version").value(), 2);
}

TEST_F(StoreTest, FailedStepLeavesTheFormerVersion) {
  const std::string file = folder_.path() + "/x.sqlite";
  const auto connection = Connection::Open(file, Access::kCreate).value();
  const std::vector<sqlite::Migration> steps = {
      {{1, 0}, "CREATE TABLE t(a INTEGER) STRICT"},
      {{2, 0}, "DROP TABLE t; CREATE TABLE broken(a NOTATYPE) STRICT"}};
  EXPECT_FALSE(Migrate(*connection, steps).ok());
  EXPECT_EQ(connection->QueryInt("PRAGMA user_version").value(), 1);
  EXPECT_EQ(connection->QueryInt("SELECT count(*) FROM t").value(), 0);
}

TEST_F(StoreTest, ManyProcessesMayMakeItAtOnce) {
  std::vector<std::unique_ptr<ChildProcess>> openers;
  for (int i = 0; i < 6; ++i) {
    openers.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{TASKMINT_LEDGER_WORKER, path_, "run", "create"},
        folder_.path() + "/out" + std::to_string(i)));
  }
  for (const auto& opener : openers) EXPECT_EQ(opener->Wait(), 0);
  EXPECT_TRUE(Open(OpenMode::kReadOnly)->Check()->damaged.empty());
}

TEST_F(StoreTest, ManyThreadsMayMakeItAtOnce) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(OpenStatus(OpenMode::kCreate).ToString(), "OK"); });
  }
}

TEST_F(StoreTest, ReadOnlyOpenWritesNothingIntoTheTables) {
  Open();
  const auto store = Open(OpenMode::kReadOnly);
  EXPECT_EQ(CreateSampleRun(*store, "run", 1).code(), Code::kPermissionDenied);
  EXPECT_THAT(Ids(*store, "", Which::kAll), IsEmpty());
}

TEST_F(StoreTest, RunIsFoundAgainAndWrittenOnce) {
  const auto store = Open();
  EXPECT_FALSE(store->FindRun("run")->has_value());
  ASSERT_TRUE(CreateSampleRun(*store, "run", 2).ok());
  Finish(*store, Kept("run", 0, "a"));
  ASSERT_TRUE(CreateSampleRun(*store, "run", 2).ok());
  EXPECT_EQ(store->FindRun("run")->value().source(), "/src/run");
  EXPECT_EQ(store->GetCandidate("run", 0)->state(), v1::Candidate::STATE_KEPT);
  EXPECT_EQ(store->GetCandidate("run", 9).status().code(), Code::kNotFound);
  EXPECT_EQ(store->GetCandidate("none", 0).status().code(), Code::kNotFound);
  const auto states = store->CandidateStates("run").value();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].task_id, IdOf("a"));
  EXPECT_EQ(states[1].state, v1::Candidate::STATE_PENDING);
}

TEST_F(StoreTest, NothingIsWrittenThatCannotBeReadBack) {
  auto store = Open();
  ASSERT_NE(store, nullptr);
  v1::Job job;
  job.mutable_settings()->set_test_command("caf\xe9");
  const Status run = store->CreateRun("bytes", job, {}, {});
  EXPECT_EQ(run.code(), Code::kInternal) << run.ToString();
  EXPECT_FALSE(store->FindRun("bytes")->has_value());
  ASSERT_TRUE(CreateSampleRun(*store, "run", 1).ok());
  const auto claimed = store->ledger().Claim("run", "worker", 60'000, 10);
  ASSERT_TRUE(claimed.ok() && claimed->has_value());
  StageCommit commit = SampleCommit(**claimed);
  commit.candidate.mutable_evidence(0)->set_detail("caf\xe9");
  EXPECT_EQ(store->ledger().Complete(**claimed, commit).code(), Code::kInternal);
  EXPECT_TRUE(store->GetCandidate("run", 0).ok());
}

TEST_F(StoreTest, ListsKeptFirstThenBySourceAndPosition) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "z", 1).ok());
  ASSERT_TRUE(CreateSampleRun(*store, "b", 3).ok());
  Finish(*store, Kept("z", 0, "z0"));
  Finish(*store, Rejected("b", 1, "oracle: 3 tests fail after"));
  Finish(*store, Kept("b", 2, "b2"));
  Finish(*store, Kept("b", 0, "b0"));
  const std::vector<ListRow> rows = store->List(Which::kAll, "").value();
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].id, IdOf("b0"));
  EXPECT_EQ(rows[1].id, IdOf("b2"));
  EXPECT_EQ(rows[2].id, IdOf("z0"));
  EXPECT_EQ(rows[0].category, "code");
  EXPECT_EQ(rows[0].language, "python");
  EXPECT_EQ(rows[0].source, "/src/b");
  EXPECT_EQ(rows[0].commit, SampleCandidate("b", 0).commit());
  EXPECT_TRUE(rows[0].kept && rows[0].reason.empty());
  EXPECT_EQ(rows[3].id, SampleCandidate("b", 1).id());
  EXPECT_FALSE(rows[3].kept);
  EXPECT_EQ(rows[3].reason, "oracle: 3 tests fail after");
  EXPECT_THAT(store->List(Which::kRejected, "").value(), SizeIs(1));
  EXPECT_THAT(store->KeptTaskIds("").value(), SizeIs(3));
}

TEST_F(StoreTest, TaskThatTwoRunsKeepIsListedOnce) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "one", 1).ok());
  ASSERT_TRUE(CreateSampleRun(*store, "two", 1).ok());
  Finish(*store, Kept("one", 0, "same"));
  Finish(*store, Kept("two", 0, "same"));
  EXPECT_THAT(Ids(*store, ""), ElementsAre(IdOf("same")));
  // One run's choice does not take it from the other.
  ASSERT_TRUE(store->SelectUpTo("one", 0).ok());
  EXPECT_THAT(Ids(*store, ""), ElementsAre(IdOf("same")));
  ASSERT_TRUE(store->SelectUpTo("two", 0).ok());
  EXPECT_THAT(Ids(*store, ""), IsEmpty());
}

TEST_F(StoreTest, CommitThatAnotherRunKeepsIsNotListedAsRejected) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "one", 2).ok());
  ASSERT_TRUE(CreateSampleRun(*store, "two", 2).ok());
  Finish(*store, Rejected("one", 0, "build"));
  Finish(*store, Rejected("one", 1, "build"));
  Finish(*store, Kept("two", 0, "a"));
  Finish(*store, Rejected("two", 1, "oracle"));
  const std::vector<ListRow> rejected = store->List(Which::kRejected, "").value();
  ASSERT_EQ(rejected.size(), 1U);
  EXPECT_EQ(rejected[0].reason, "oracle");
}

TEST_F(StoreTest, SelectionIsByPositionAndALargerOneRevivesSurplus) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "run", 4).ok());
  for (const int64_t i : {3, 0, 2}) Finish(*store, Kept("run", i, std::to_string(i)));
  Finish(*store, Rejected("run", 1, "null"));
  ASSERT_TRUE(store->SelectUpTo("run", 1).ok());
  EXPECT_THAT(Ids(*store, ""), ElementsAre(IdOf("0")));
  EXPECT_EQ(store->GetCandidate("run", 3)->state(), v1::Candidate::STATE_SURPLUS);
  EXPECT_EQ(store->FindById(IdOf("3"))->state(), v1::Candidate::STATE_SURPLUS);
  ASSERT_TRUE(store->SelectUpTo("run", 3).ok());
  EXPECT_THAT(Ids(*store, ""), ElementsAre(IdOf("0"), IdOf("2")));
  ASSERT_TRUE(store->SelectUpTo("run", 1'000).ok());
  EXPECT_THAT(Ids(*store, ""), SizeIs(3));
  EXPECT_EQ(store->GetCandidate("run", 1)->state(), v1::Candidate::STATE_REJECTED);
}

TEST_F(StoreTest, FindsDuplicatesBeforeThisPositionAndInOtherRuns) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "run", 5).ok());
  ASSERT_TRUE(CreateSampleRun(*store, "other", 1).ok());
  const auto like = [](const std::string& run_id, int64_t position, const std::string& task) {
    v1::Candidate candidate = Kept(run_id, position, "model");
    candidate.mutable_task()->set_id(IdOf(task));
    return candidate;
  };
  Finish(*store, like("run", 2, "first"));
  EXPECT_EQ(store->FindDuplicate(like("run", 3, "x")).value(), IdOf("first"));
  EXPECT_EQ(store->FindDuplicate(like("run", 1, "x")).value(), "");
  EXPECT_EQ(store->FindDuplicate(like("other", 0, "x")).value(), IdOf("first"));
  EXPECT_EQ(store->FindDuplicate(like("other", 0, "first")).value(), "") << "the same task";
  EXPECT_EQ(store->FindDuplicate(Kept("run", 3, "another")).value(), "");
  EXPECT_EQ(store->FindDuplicate(SampleCandidate("run", 3)).value(), "");
  ASSERT_TRUE(store->SelectUpTo("run", 0).ok());
  EXPECT_EQ(store->FindDuplicate(like("run", 3, "x")).value(), IdOf("first"));
  EXPECT_EQ(store->FindDuplicate(like("other", 0, "x")).value(), "");
}

TEST_F(StoreTest, AnotherBaseIsNoDuplicateAndTheSameCommitGoesFirst) {
  const auto store = Open();
  const auto like = [](const std::string& run_id, const std::string& task,
                       const std::string& base) {
    v1::Candidate candidate = Kept(run_id, 0, "one");
    candidate.set_id(IdOf("commit of " + run_id.substr(0, 1)));
    candidate.mutable_task()->set_id(IdOf(task));
    candidate.mutable_task()
        ->mutable_environment()
        ->mutable_repository()
        ->mutable_base()
        ->set_package_list_digest(base);
    return candidate;
  };
  for (const char* run : {"fork", "a first", "a again"}) {
    ASSERT_TRUE(CreateSampleRun(*store, run, 1).ok());
  }
  Finish(*store, like("fork", "the fork's", "bookworm"));
  Finish(*store, like("a first", "the first", "bookworm"));
  EXPECT_EQ(*store->FindDuplicate(like("a again", "new", "bookworm")), IdOf("the first"));
  EXPECT_EQ(*store->FindDuplicate(like("a again", "new", "trixie")), "");
}

TEST_F(StoreTest, FindsByPrefixOfTaskAndOfCandidate) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "run", 3).ok());
  Finish(*store, Kept("run", 0, "a"));
  v1::Candidate twin = Kept("run", 1, "a");
  twin.mutable_task()->set_id(IdOf("a").substr(0, 10) + std::string(54, '0'));
  Finish(*store, twin);
  EXPECT_EQ(store->FindById(IdOf("a"))->position(), 0);
  EXPECT_EQ(store->FindById(IdOf("a").substr(0, 12))->task().prompt().text(), "Fix a");
  EXPECT_EQ(store->FindById(IdOf("a").substr(0, 10)).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store->FindById(SampleCandidate("run", 2).id().substr(0, 8))->position(), 2);
  EXPECT_EQ(store->FindById("abc").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store->FindById("%%%%%%%").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store->FindById(std::string(64, '9')).status().code(), Code::kNotFound);
}

TEST_F(StoreTest, CountsTheFunnel) {
  const auto store = Open();
  ASSERT_TRUE(CreateSampleRun(*store, "run", 5).ok());
  Finish(*store, Kept("run", 0, "a"));
  Finish(*store, Rejected("run", 1, "oracle: one"));
  Finish(*store, Rejected("run", 2, "oracle: two"));
  Finish(*store, Kept("run", 3, "b"));
  ASSERT_TRUE(store->SelectUpTo("run", 3).ok());
  std::vector<std::string> rows;
  const std::vector<FunnelRow> funnel = store->Funnel().value();
  for (const FunnelRow& row : funnel) {
    EXPECT_EQ(row.source, "/src/run");
    rows.push_back(row.reason + " " + std::to_string(row.count));
  }
  EXPECT_THAT(rows, UnorderedElementsAre("oracle 2", "kept 1", "surplus 1", "not tried 1"));
}

TEST_F(StoreTest, KeepsEnvironments) {
  const auto store = Open();
  EXPECT_FALSE(store->FindEnvironment("k")->has_value());
  ASSERT_TRUE(
      store->PutEnvironment({"k", "d", {{"/venv", IdOf("t")}, {"/x", IdOf("u")}}, true}).ok());
  const EnvironmentRow row = store->FindEnvironment("k")->value();
  EXPECT_EQ(row.description, "d");
  EXPECT_TRUE(row.reproducible);
  EXPECT_THAT(row.layers, ElementsAre(std::make_pair(std::string("/venv"), IdOf("t")),
                                      std::make_pair(std::string("/x"), IdOf("u"))));
}

TEST_F(StoreTest, OfTwoProcessesThatBuildOneEnvironmentBothUseTheFirsts) {
  const auto store = Open();
  ASSERT_TRUE(store->PutEnvironment({"k", "d", {{"/venv", IdOf("first")}}, false}).ok());
  const auto other = Open();
  const auto used = other->PutEnvironment({"k", "d", {{"/venv", IdOf("second")}}, false});
  ASSERT_TRUE(used.ok()) << used.status().ToString();
  EXPECT_THAT(used->layers, ElementsAre(std::make_pair(std::string("/venv"), IdOf("first"))));
  EXPECT_EQ(store->FindEnvironment("k")->value().layers, used->layers);
}

}  // namespace
}  // namespace taskmint::datasets
