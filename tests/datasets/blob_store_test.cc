#include "datasets/blob_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "datasets/compression.h"
#include "proto/base/digest.h"
#include "proto/environment.pb.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BlobStoreTest : public ::testing::Test {
 protected:
  std::string PathOf(const std::string& digest) const {
    return folder_.path() + "/blobs/sha256/" + digest.substr(0, 2) + "/" + digest.substr(2);
  }
  void Overwrite(const std::string& digest, const std::string& bytes) const {
    fs::create_directories(fs::path(PathOf(digest)).parent_path());
    std::ofstream(PathOf(digest), std::ios::binary | std::ios::trunc) << bytes;
  }
  size_t FilesBelow(const std::string& name) const {
    size_t files = 0;
    const std::string path = folder_.path() + "/" + name;
    if (!fs::exists(path)) return 0;
    for (const auto& entry : fs::recursive_directory_iterator(path)) files += !entry.is_directory();
    return files;
  }
  // Stores a record as somebody hostile would: with the right digest.
  std::string Plant(const v1::Directory& record) {
    return blobs_.Put(record.SerializeAsString()).value();
  }
  v1::Directory WithFile(const std::string& name) {
    v1::Directory record;
    auto* file = record.add_files();
    file->set_name(name);
    file->set_digest(blobs_.Put("content").value());
    file->set_size_bytes(7);
    return record;
  }

  TemporaryFolder folder_;
  BlobStore blobs_{folder_.path() + "/blobs"};
  std::string cache_ = folder_.path() + "/cache";
};

TEST_F(BlobStoreTest, GivesBackWhatWasPut) {
  const std::string bytes = std::string("a\0b", 3) + std::string(100'000, 'x');
  for (const std::string& put : {std::string(), bytes}) {
    const std::string digest = blobs_.Put(put).value();
    EXPECT_EQ(digest, Sha256Hex(put));
    EXPECT_EQ(blobs_.Get(digest).value(), put);
    EXPECT_EQ(blobs_.Put(put).value(), digest);
  }
  EXPECT_LT(blobs_.DiskBytes(Sha256Hex(bytes)).value(), 1'000U);
  EXPECT_EQ(FilesBelow("blobs/tmp"), 0U);
}

TEST_F(BlobStoreTest, MissingBlobIsNotFoundAndNoDigestIsInvalid) {
  EXPECT_EQ(blobs_.Get(Sha256Hex("absent")).status().code(), Code::kNotFound);
  EXPECT_EQ(blobs_.Get("../../etc/passwd").status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(blobs_.Contains("../../../etc/passwd"));
}

TEST_F(BlobStoreTest, DamagedBlobIsNamedWithWhatToDo) {
  const std::string digest = blobs_.Put("some content").value();
  for (const std::string& damage : {std::string("not zstd"), Compress("other content"),
                                    Compress("some content").substr(0, 8), std::string()}) {
    Overwrite(digest, damage);
    const Status status = blobs_.Get(digest).status();
    EXPECT_EQ(status.code(), Code::kDataLoss) << damage;
    EXPECT_THAT(status.message(), HasSubstr(digest));
    EXPECT_THAT(status.message(), HasSubstr("taskmint store check"));
  }
}

TEST_F(BlobStoreTest, EmptyFileOfAPowerFailureIsWrittenAgain) {
  const std::string digest = blobs_.Put("some content").value();
  Overwrite(digest, "");
  EXPECT_FALSE(blobs_.Contains(digest));
  ASSERT_TRUE(blobs_.Put("some content").ok());
  EXPECT_EQ(blobs_.Get(digest).value(), "some content");
}

TEST_F(BlobStoreTest, ExpandsNoBomb) {
  // A frame that claims 2 GiB: magic, single segment with 8 bytes of content size.
  std::string bomb = "\x28\xb5\x2f\xfd\xe0";
  bomb += std::string("\0\0\0\x80\0\0\0\0", 8);
  const std::string digest = Sha256Hex("bomb");
  Overwrite(digest, bomb);
  const Status status = blobs_.Get(digest).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("2147483648"));
}

FileTree SampleTree() {
  FileTree tree;
  EXPECT_TRUE(tree.Set("src/a.py", RegularFile("print()\n")).ok());
  EXPECT_TRUE(tree.Set("src/\xff name", RegularFile("")).ok());
  EXPECT_TRUE(tree.Set("bin/run",
                       {FileEntry::Kind::kExecutable, std::make_shared<std::string>("#!/bin/sh\n")})
                  .ok());
  EXPECT_TRUE(tree.Set("bin/out", {FileEntry::Kind::kSymlink,
                                   std::make_shared<std::string>("../../../etc/passwd")})
                  .ok());
  return tree;
}

TEST_F(BlobStoreTest, TreeComesBackWithItsDigest) {
  const FileTree tree = SampleTree();
  const std::string digest = blobs_.PutTree(tree).value();
  EXPECT_EQ(digest, TreeDigest(tree));
  EXPECT_EQ(TreeDigest(blobs_.GetTree(digest).value()), digest);
  EXPECT_EQ(blobs_.GetTree(blobs_.PutTree(FileTree()).value()).value().size(), 0U);
}

TEST_F(BlobStoreTest, ReachesEverythingBelowATree) {
  const std::string digest = blobs_.PutTree(SampleTree()).value();
  std::unordered_set<std::string> trees;
  std::unordered_set<std::string> files;
  ASSERT_TRUE(blobs_.ReachableFromTree(digest, trees, files).ok());
  EXPECT_EQ(trees.size(), 3U);
  EXPECT_EQ(files.size(), 3U);
  size_t on_disk = 0;
  ASSERT_TRUE(blobs_
                  .ForEach([&](const BlobStore::BlobOnDisk& blob) {
                    EXPECT_TRUE(trees.contains(blob.digest) || files.contains(blob.digest));
                    ++on_disk;
                  })
                  .ok());
  EXPECT_EQ(on_disk, 6U);
}

TEST_F(BlobStoreTest, MaterializesWithFixedModesAndTimesWhateverTheUmask) {
  const std::string digest = blobs_.PutTree(SampleTree()).value();
  const mode_t before = umask(0077);
  const Result<std::string> path = blobs_.Materialize(digest, cache_);
  umask(before);
  ASSERT_TRUE(path.ok()) << path.status().ToString();
  const auto check = [&](const std::string& name, mode_t mode) {
    struct stat status {};
    ASSERT_EQ(lstat((*path + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 07777, mode) << name;
    EXPECT_EQ(status.st_mtim.tv_sec, 1) << name;
    EXPECT_EQ(status.st_mtim.tv_nsec, 0) << name;
  };
  check("", 0755);
  check("/src", 0755);
  check("/src/a.py", 0644);
  check("/bin/run", 0755);
  check("/bin/out", 0777);
  EXPECT_EQ(fs::read_symlink(*path + "/bin/out"), "../../../etc/passwd");
  EXPECT_EQ(blobs_.Materialize(digest, cache_).value(), *path);
}

// Each time by a process of its own: one looks only once.
TEST_F(BlobStoreTest, AMaterializedTreeThatWasDamagedIsWrittenAgain) {
  const std::string digest = blobs_.PutTree(SampleTree()).value();
  const auto materialize = [&] {
    const pid_t child = fork();
    if (child == 0) _exit(blobs_.Materialize(digest, cache_).ok() ? 0 : 1);
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
  };
  ASSERT_EQ(materialize(), 0);
  const std::string path = fs::directory_iterator(cache_)->path().string();
  const auto inode = [&] {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_ino;
  };
  const auto sound = inode();
  ASSERT_EQ(materialize(), 0);
  EXPECT_EQ(inode(), sound) << "what is whole is used again";
  const std::string file = path + "/src/a.py";
  const std::function<void()> harms[] = {
      [&] { fs::remove(file); }, [&] { fs::resize_file(file, 1); },
      [&] { std::ofstream(file, std::ios::in) << "P"; }, [&] { fs::remove(path + "/bin/out"); }};
  for (const auto& harm : harms) {
    harm();
    ASSERT_EQ(materialize(), 0);
    std::ifstream content(file);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(content), {}), "print()\n");
    EXPECT_TRUE(fs::is_symlink(path + "/bin/out"));
    EXPECT_EQ(std::distance(fs::directory_iterator(cache_), fs::directory_iterator()), 1);
  }
}

TEST_F(BlobStoreTest, WhatCompletesATreeIsUnpackedBesideItAndNeverOverIt) {
  FileTree tree = SampleTree();
  ASSERT_TRUE(tree.Set("lib64", {FileEntry::Kind::kSymlink, RegularFile("/etc").content}).ok());
  const std::string digest = blobs_.PutTree(tree).value();
  const Result<std::string> path =
      blobs_.Materialize(digest, cache_, [&](const std::string& folder) -> Result<FileTree> {
        EXPECT_TRUE(fs::exists(folder + "/src/a.py"));
        FileTree more;
        const auto link = FileEntry::Kind::kSymlink;
        for (const char* name : {"src/new/deep/a.pyc", "src/a.py", "src/a.py/x", "src", "lib64/x",
                                 "bin/out/x", "top"}) {
          EXPECT_TRUE(more.Set(name, RegularFile("more")).ok());
        }
        EXPECT_TRUE(more.Set("src/link", {link, RegularFile("/etc").content}).ok());
        return more;
      });
  ASSERT_TRUE(path.ok()) << path.status().ToString();
  for (const char* name :
       {"", "/src", "/src/new", "/src/new/deep", "/src/new/deep/a.pyc", "/top"}) {
    struct stat status {};
    ASSERT_EQ(lstat((*path + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 07777, S_ISDIR(status.st_mode) ? 0755U : 0644U) << name;
    EXPECT_EQ(status.st_mtim.tv_sec, 1) << name;
  }
  EXPECT_EQ(fs::file_size(*path + "/src/a.py"), 8U);
  EXPECT_FALSE(fs::exists("/etc/x"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(*path + "/src/link")));
  EXPECT_EQ(blobs_.PutTree(tree).value(), digest);
}

TEST_F(BlobStoreTest, ATreeThatCannotBeCompletedIsNotThere) {
  const std::string digest = blobs_.PutTree(SampleTree()).value();
  const auto refuse = [](const std::string&) -> Result<FileTree> {
    return Status(Code::kUnavailable, Boundary::kSandbox, "no sandbox");
  };
  EXPECT_EQ(blobs_.Materialize(digest, cache_, refuse).status().code(), Code::kUnavailable);
  EXPECT_TRUE(fs::is_empty(cache_));
}

TEST_F(BlobStoreTest, ManyThreadsMaterializeOneTreeOnce) {
  FileTree tree;
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    ASSERT_TRUE(tree.Set("d" + std::to_string(i % 7) + "/f" + n, RegularFile(n)).ok());
  }
  const std::string digest = blobs_.PutTree(tree).value();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&] {
        const Result<std::string> path = blobs_.Materialize(digest, cache_);
        ASSERT_TRUE(path.ok()) << path.status().ToString();
        EXPECT_TRUE(fs::exists(*path + "/d4/f298")) << "complete or absent";
      });
    }
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(cache_), fs::directory_iterator()), 1);
  EXPECT_EQ(FilesBelow("cache"), 300U);
}

TEST_F(BlobStoreTest, FailedMaterializationLeavesNothing) {
  const std::string digest = blobs_.PutTree(SampleTree()).value();
  ASSERT_TRUE(blobs_.Remove(Sha256Hex("print()\n")).ok());
  EXPECT_EQ(blobs_.Materialize(digest, cache_).status().code(), Code::kNotFound);
  EXPECT_TRUE(fs::is_empty(cache_));
}

TEST_F(BlobStoreTest, RefusesHostileNames) {
  for (const std::string& name :
       {std::string(".."), std::string("."), std::string(), std::string("a/b"),
        std::string("/etc/x"), std::string("a\0b", 3), std::string(300, 'x')}) {
    const std::string as_file = Plant(WithFile(name));
    v1::Directory record;
    auto* child = record.add_directories();
    child->set_name(name);
    child->set_digest(Plant(WithFile("x")));
    const std::string as_folder = Plant(record);
    record.Clear();
    record.add_symlinks()->set_name(name);
    record.mutable_symlinks(0)->set_target("x");
    for (const std::string& digest : {as_file, as_folder, Plant(record)}) {
      EXPECT_EQ(blobs_.GetTree(digest).status().code(), Code::kDataLoss) << name;
      EXPECT_EQ(blobs_.Materialize(digest, cache_).status().code(), Code::kDataLoss) << name;
    }
  }
}

TEST_F(BlobStoreTest, RefusesALinkAndAFolderOfOneName) {
  v1::Directory record;
  auto* link = record.add_symlinks();
  link->set_name("a");
  link->set_target(folder_.path());
  auto* child = record.add_directories();
  child->set_name("a");
  child->set_digest(Plant(WithFile("planted")));
  const std::string digest = Plant(record);
  EXPECT_EQ(blobs_.Materialize(digest, cache_).status().code(), Code::kDataLoss);
  EXPECT_FALSE(fs::exists(folder_.path() + "/planted"));
}

TEST_F(BlobStoreTest, RefusesATreeThatNoDiskHolds) {
  // Every level holds the one below a hundred times: a few blobs, 10^20 files.
  std::string below = Plant(WithFile("x"));
  for (int level = 0; level < 10; ++level) {
    v1::Directory record;
    for (int i = 0; i < 100; ++i) {
      auto* child = record.add_directories();
      child->set_name(std::to_string(i));
      child->set_digest(below);
    }
    below = Plant(record);
  }
  EXPECT_EQ(blobs_.GetTree(below).status().code(), Code::kDataLoss);
  EXPECT_EQ(blobs_.Materialize(below, cache_).status().code(), Code::kDataLoss);
  std::unordered_set<std::string> trees;
  std::unordered_set<std::string> files;
  EXPECT_TRUE(blobs_.ReachableFromTree(below, trees, files).ok());
  EXPECT_EQ(trees.size(), 11U);
}

TEST_F(BlobStoreTest, RefusesAFileOfAnotherSizeThanItsRecordSays) {
  v1::Directory record = WithFile("x");
  record.mutable_files(0)->set_size_bytes(6);
  const std::string digest = Plant(record);
  EXPECT_EQ(blobs_.GetTree(digest).status().code(), Code::kDataLoss);
  EXPECT_EQ(blobs_.Materialize(digest, cache_).status().code(), Code::kDataLoss);
}

TEST_F(BlobStoreTest, FilesOfKilledWritersGo) {
  ASSERT_TRUE(blobs_.Put("x").ok());
  std::ofstream(folder_.path() + "/blobs/tmp/123-456") << "half";
  EXPECT_EQ(blobs_.RemoveTemporaryFiles().value(), 1);
  EXPECT_EQ(FilesBelow("blobs/tmp"), 0U);
  EXPECT_TRUE(blobs_.Put("y").ok());
}

}  // namespace
}  // namespace taskmint::datasets
