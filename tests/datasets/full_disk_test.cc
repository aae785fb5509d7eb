// A disk that is full, and one that cannot be written.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>

#include "datasets/store.h"
#include "proto/base/random.h"
#include "tests/datasets/sample_run.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;

constexpr int kNoNamespaces = 77;

// In a child process, where gtest's macros would be lost: says what failed and ends the process.
void Require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what.c_str());
  _exit(1);
}

// The exit code of `work`, run in a child process.
int InChild(const std::function<void()>& work) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void WriteFile(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  Require(file >= 0 && write(file, text.data(), text.size()) > 0, path);
  close(file);
}

// Puts this process into a mount namespace of its own and a small file system at `path`.
void MountSmallDisk(const std::string& path, const char* options) {
  const std::string uid = std::to_string(getuid());
  const std::string gid = std::to_string(getgid());
  if (unshare(CLONE_NEWNS) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(kNoNamespaces);
    WriteFile("/proc/self/setgroups", "deny");
    WriteFile("/proc/self/uid_map", "0 " + uid + " 1");
    WriteFile("/proc/self/gid_map", "0 " + gid + " 1");
  }
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(kNoNamespaces);
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, options) != 0) _exit(kNoNamespaces);
}

// Bytes that do not compress.
std::string Noise(size_t size) {
  Random random(size);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

size_t FilesBelow(const std::string& path) {
  size_t files = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    files += entry.is_directory() ? 0 : 1;
  }
  return files;
}

void RequireFull(const Status& status, const std::string& what) {
  Require(status.code() == Code::kResourceExhausted, what + ": " + status.ToString());
  Require(status.message().find("free some space") != std::string::npos, status.message());
}

StageCommit LargeCommit(const ClaimedJob& claimed) {
  StageCommit commit = SampleCommit(claimed);
  // Text for protobuf: any bytes below 0x80.
  std::string text = Noise(2 << 20);
  for (char& c : text) c = static_cast<char>(c & 0x7f);
  commit.candidate.mutable_evidence(0)->set_detail(text);
  return commit;
}

TEST(FullDiskTest, NothingHalfWrittenStaysAndWorkGoesOnWhenThereIsSpace) {
  const TemporaryFolder folder;
  const std::string path = folder.path();
  const int code = InChild([&] {
    MountSmallDisk(path, "size=3m");
    const SystemClock clock;
    const auto store = Store::Open(path + "/store", OpenMode::kCreate, clock).value();
    BlobStore& blobs = store->blobs();
    Require(CreateSampleRun(*store, "run", 1).ok(), "make a run");
    FileTree tree;
    Require(tree.Set("large", RegularFile(std::string(2 << 20, 'x'))).ok(), "make a tree");
    const std::string digest = blobs.PutTree(tree).value();
    const size_t files = FilesBelow(path + "/store/blobs");
    const ClaimedJob claimed = store->ledger().Claim("run", "w", 60'000, 1).value().value();
    const std::string filler = path + "/filler";
    std::ofstream(filler) << Noise(1 << 20);

    RequireFull(blobs.Put(Noise(4 << 20)).status(), "put a blob");
    Require(FilesBelow(path + "/store/blobs") == files, "leave no temporary file");
    RequireFull(blobs.Materialize(digest, store->cache_folder()).status(), "materialize");
    Require(fs::is_empty(store->cache_folder()), "leave no half tree");
    RequireFull(store->ledger().Complete(claimed, LargeCommit(claimed)), "complete");
    Require(store->GetCandidate("run", 0)->evidence_size() == 0, "write no half commit");
    Require(store->ledger().OpenJobs("run", 1).value() == 1, "keep the job");

    fs::remove(filler);
    Require(store->ledger().Complete(claimed, SampleCommit(claimed)).ok(), "complete at last");
    Require(store->GetCandidate("run", 0)->evidence_size() == 1, "have the evidence");
    Require(store->Check()->damaged.empty(), "be whole");
  });
  if (code == kNoNamespaces) GTEST_SKIP() << "this kernel gives no mount namespace to this user";
  EXPECT_EQ(code, 0);
}

TEST(FullDiskTest, StoreCannotBeMadeOnAFullDisk) {
  const TemporaryFolder folder;
  const std::string path = folder.path();
  const int code = InChild([&] {
    MountSmallDisk(path, "size=16k");
    const SystemClock clock;
    RequireFull(Store::Open(path + "/store", OpenMode::kCreate, clock).status(), "open");
  });
  if (code == kNoNamespaces) GTEST_SKIP() << "this kernel gives no mount namespace to this user";
  EXPECT_EQ(code, 0);
}

TEST(FullDiskTest, FileSizeLimitIsAFullDisk) {
  const TemporaryFolder folder;
  const std::string path = folder.path();
  EXPECT_EQ(InChild([&] {
              const SystemClock clock;
              const auto store = Store::Open(path, OpenMode::kCreate, clock).value();
              Require(CreateSampleRun(*store, "run", 1).ok(), "make a run");
              const ClaimedJob claimed =
                  store->ledger().Claim("run", "w", 60'000, 1).value().value();
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{400 << 10, 400 << 10};
              Require(setrlimit(RLIMIT_FSIZE, &limit) == 0, "limit file sizes");
              RequireFull(store->blobs().Put(Noise(1 << 20)).status(), "put a blob");
              Require(FilesBelow(path + "/blobs") == 0, "leave no temporary file");
              RequireFull(store->ledger().Complete(claimed, LargeCommit(claimed)), "complete");
              Require(store->ledger().Complete(claimed, SampleCommit(claimed)).ok(), "go on");
            }),
            0);
}

TEST(FullDiskTest, StoreOnAReadOnlyDiskCanBeReadAndNotWritten) {
  const TemporaryFolder folder;
  const std::string path = folder.path();
  const int code = InChild([&] {
    MountSmallDisk(path, "size=3m");
    const SystemClock clock;
    std::string digest;
    {
      const auto store = Store::Open(path + "/store", OpenMode::kCreate, clock).value();
      Require(CreateSampleRun(*store, "run", 1).ok(), "make a run");
      FileTree layer;
      Require(layer.Set("bin/tool", RegularFile("tool")).ok(), "make a tree");
      digest = store->blobs().PutTree(layer).value();
    }
    Require(mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0, "remount");
    auto store = Store::Open(path + "/store", OpenMode::kReadOnly, clock);
    Require(store.ok(), "open: " + store.status().ToString());
    Require((*store)->FindRun("run")->has_value(), "read");
    Require((*store)->List(Store::Which::kAll, "kept").ok(), "filter");
    Require((*store)->Check()->damaged.empty(), "check");
    const Status put = (*store)->blobs().Put("x").status();
    Require(put.code() == Code::kPermissionDenied, put.ToString());
    const Status run = CreateSampleRun(**store, "other", 1);
    Require(run.code() == Code::kPermissionDenied, run.ToString());
    const Status writing = Store::Open(path + "/store", OpenMode::kReadWrite, clock).status();
    Require(writing.code() == Code::kPermissionDenied, writing.ToString());
    const std::string cache = (*store)->cache_folder();
    const auto unpacked = (*store)->blobs().Materialize(digest, cache);
    Require(unpacked.ok() && fs::exists(*unpacked + "/bin/tool"), unpacked.status().ToString());
    store->reset();
    Require(!fs::exists(cache), "the temporary cache is gone");
  });
  if (code == kNoNamespaces) GTEST_SKIP() << "this kernel gives no mount namespace to this user";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace taskmint::datasets
