// Check and Collect.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "datasets/store.h"
#include "tests/datasets/sample_run.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kHourMs = 3'600'000;

FileTree TreeOf(const std::string& path, const std::string& content) {
  FileTree tree;
  EXPECT_TRUE(tree.Set(path, RegularFile(content)).ok());
  return tree;
}

class StoreUpkeepTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Store>> store = Store::Open(path_, OpenMode::kCreate, clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(store).value();
    ASSERT_TRUE(CreateSampleRun(*store_, "run", 1).ok());
    v1::Candidate candidate = SampleCandidate("run", 0);
    v1::Task& task = *candidate.mutable_task();
    task.set_id(Sha256Hex("task"));
    candidate.set_state(v1::Candidate::STATE_KEPT);
    task.mutable_solution()->set_patch_digest(Put("patch"));
    task.mutable_verifier()->mutable_tests()->set_overlay_digest(
        store_->blobs().PutTree(TreeOf("tests/t.py", "overlay")).value());
    auto* repository = task.mutable_environment()->mutable_repository();
    repository->set_tree_digest(store_->blobs().PutTree(TreeOf("src/deep/a.py", "code")).value());
    v1::Layer* layer = repository->add_layers();
    layer->set_mount_path("/venv");
    layer->set_tree_digest(store_->blobs().PutTree(TreeOf("lib/x", "layer")).value());
    v1::Evidence evidence = SampleEvidence("oracle");
    evidence.set_log_digest(Put("gate log"));
    evidence.add_attempts()->set_log_digest(Put("attempt log"));
    *candidate.add_evidence() = evidence;
    const auto claimed = store_->ledger().Claim("run", "w", 1'000, 1).value();
    StageCommit commit;
    commit.candidate = candidate;
    commit.log_digest = Put("stage log");
    ASSERT_TRUE(store_->ledger().Complete(*claimed, commit).ok());
    ASSERT_TRUE(
        store_
            ->PutEnvironment(
                {"key", "", {{"/venv", store_->blobs().PutTree(TreeOf("y", "env")).value()}}, true})
            .ok());
  }
  std::string Put(const std::string& bytes) { return store_->blobs().Put(bytes).value(); }
  std::string PathOf(const std::string& digest) const {
    return path_ + "/blobs/sha256/" + digest.substr(0, 2) + "/" + digest.substr(2);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.path() + "/store";
  FakeClock clock_{SystemClock().NowMs()};
  std::unique_ptr<Store> store_;
};

TEST_F(StoreUpkeepTest, WholeStoreHasNoProblems) {
  const CheckReport report = store_->Check().value();
  EXPECT_THAT(report.damaged, IsEmpty());
  EXPECT_THAT(report.missing, IsEmpty());
  EXPECT_EQ(report.blobs, 16);
  EXPECT_GT(report.blob_bytes, 0);
}

TEST_F(StoreUpkeepTest, CheckOfAStoreInUseFindsNothingMissing) {
  ASSERT_TRUE(CreateSampleRun(*store_, "busy", 1'000).ok());
  std::jthread writer([&](const std::stop_token& stop) {
    for (int i = 0; i < 1'000 && !stop.stop_requested(); ++i) {
      const auto claimed = store_->ledger().Claim("busy", "w", 60'000, 1'000);
      if (!claimed.ok() || !claimed->has_value()) break;
      StageCommit commit;
      commit.candidate = SampleCandidate("busy", (*claimed)->job.position);
      commit.log_digest = Put("log " + std::to_string(i));
      EXPECT_TRUE(store_->ledger().Complete(**claimed, commit).ok());
    }
  });
  for (int i = 0; i < 8; ++i) {
    const auto report = store_->Check();
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_THAT(report->missing, IsEmpty());
    EXPECT_THAT(report->damaged, IsEmpty());
  }
}

TEST_F(StoreUpkeepTest, CheckNamesEveryMissingBlobAndWhatNeedsIt) {
  for (const char* content :
       {"patch", "overlay", "code", "layer", "env", "gate log", "attempt log", "stage log"}) {
    const std::string digest = Sha256Hex(content);
    const std::string away = folder_.path() + "/away";
    fs::rename(PathOf(digest), away);
    const CheckReport report = store_->Check().value();
    EXPECT_THAT(report.missing, SizeIs(1)) << content;
    EXPECT_THAT(report.missing, Contains(AllOf(HasSubstr(digest), HasSubstr("is missing"))));
    fs::rename(away, PathOf(digest));
  }
}

TEST_F(StoreUpkeepTest, CheckNamesDamagedBlobsAndTheirTask) {
  const std::string digest = Sha256Hex("code");
  std::ofstream(PathOf(digest), std::ios::trunc) << "rubbish";
  const CheckReport report = store_->Check().value();
  EXPECT_THAT(report.damaged, SizeIs(1));
  EXPECT_THAT(report.damaged, Contains(HasSubstr(digest)));
  EXPECT_THAT(report.missing, Contains(AllOf(HasSubstr("task " + Sha256Hex("task")),
                                             HasSubstr(digest), HasSubstr("repository"))));
}

TEST_F(StoreUpkeepTest, CheckFindsADamagedDatabase) {
  store_.reset();
  {
    std::fstream file(path_ + "/tasks.sqlite", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(0, std::ios::end);
    const auto size = static_cast<int64_t>(file.tellp());
    ASSERT_GT(size, 20'000);
    for (int64_t at = 8'192; at < size; at += 4'096) {
      file.seekp(at);
      file << std::string(200, '\xee');
    }
  }
  Result<std::unique_ptr<Store>> store = Store::Open(path_, OpenMode::kReadOnly, clock_);
  if (!store.ok()) {
    EXPECT_EQ(store.status().code(), Code::kDataLoss);
    return;
  }
  const Result<CheckReport> report = (*store)->Check();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_FALSE(report->damaged.empty());
}

TEST_F(StoreUpkeepTest, CollectKeepsWhatIsReferencedAndWhatIsYoung) {
  const std::string orphan = Put("orphan");
  const std::string orphan_tree = store_->blobs().PutTree(TreeOf("z/z", "orphan file")).value();
  EXPECT_EQ(store_->Collect()->blobs_removed, 0) << "younger than an hour";
  clock_.AdvanceMs(2 * kHourMs);
  const CollectReport report = store_->Collect().value();
  EXPECT_EQ(report.blobs_removed, 4);
  EXPECT_GT(report.bytes_removed, 0);
  EXPECT_FALSE(store_->blobs().Contains(orphan));
  EXPECT_FALSE(store_->blobs().Contains(orphan_tree));
  const CheckReport check = store_->Check().value();
  EXPECT_THAT(check.missing, IsEmpty());
  EXPECT_EQ(check.blobs, 16);
}

TEST_F(StoreUpkeepTest, FileWithTheBytesOfAFolderRecordHidesNothingFromCollect) {
  // A repository may hold a file that is, byte for byte, the record of a tree that is needed too.
  const std::string inner = store_->blobs().PutTree(TreeOf("only/here", "precious")).value();
  const std::string record = store_->blobs().Get(inner).value();
  FileTree hostile = TreeOf("copy", record);
  const std::string outer = store_->blobs().PutTree(hostile).value();
  ASSERT_TRUE(store_->PutEnvironment({"hostile", "", {{"/a", outer}, {"/b", inner}}, true}).ok());
  clock_.AdvanceMs(2 * kHourMs);
  ASSERT_TRUE(store_->Collect().ok());
  EXPECT_EQ(store_->blobs().GetTree(inner)->size(), 1U);
}

TEST_F(StoreUpkeepTest, CollectEmptiesTheCacheAndRemovesWhatKilledWritersLeft) {
  const std::string digest = store_->blobs().PutTree(TreeOf("lib/x", "layer")).value();
  const std::string path = store_->blobs().Materialize(digest, store_->cache_folder()).value();
  fs::create_directories(store_->cache_folder() + "/tmp-1-2/half");
  std::ofstream(path_ + "/blobs/tmp/1-2") << "half";
  const CollectReport report = store_->Collect().value();
  EXPECT_EQ(report.cache_entries_removed, 2);
  EXPECT_GT(report.cache_bytes_removed, 0);
  EXPECT_EQ(report.temporary_files_removed, 1);
  EXPECT_TRUE(fs::is_empty(store_->cache_folder()));
  EXPECT_FALSE(fs::exists(path_ + "/blobs/tmp/1-2"));
}

TEST_F(StoreUpkeepTest, NothingIsCollectedWhileTheStoreIsInUse) {
  const std::string digest = store_->blobs().PutTree(TreeOf("lib/x", "layer")).value();
  const std::string path = store_->blobs().Materialize(digest, store_->cache_folder()).value();
  clock_.AdvanceMs(2 * kHourMs);
  const std::string orphan = Put("orphan");
  {
    const auto other = Store::Open(path_, OpenMode::kReadOnly, clock_).value();
    const Status status = store_->Collect().status();
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr("another process"));
    EXPECT_TRUE(fs::exists(path));
    EXPECT_TRUE(store_->blobs().Contains(orphan));
    // The first one is still protected from the second.
    const auto third = Store::Open(path_, OpenMode::kReadWrite, clock_).value();
    EXPECT_EQ(third->Collect().status().code(), Code::kUnavailable);
  }
  EXPECT_TRUE(store_->Collect().ok());
  EXPECT_TRUE(Store::Open(path_, OpenMode::kReadWrite, clock_).ok()) << "unlocked afterwards";
}

TEST_F(StoreUpkeepTest, CollectRemovesNothingWhileATreeCannotBeRead) {
  clock_.AdvanceMs(2 * kHourMs);
  const v1::Candidate candidate = store_->GetCandidate("run", 0).value();
  fs::remove(PathOf(candidate.task().environment().repository().tree_digest()));
  const std::string orphan = Put("orphan");
  const Status status = store_->Collect().status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("nothing was removed"));
  EXPECT_TRUE(store_->blobs().Contains(orphan));
}

}  // namespace
}  // namespace taskmint::datasets
