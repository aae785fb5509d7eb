// BlobStore::Materialize: a tree onto the disk.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "datasets/blob_store.h"
#include "datasets/os_error.h"
#include "datasets/tree_reader.h"
#include "proto/base/digest.h"
#include "proto/base/log.h"
#include "proto/base/random.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;

constexpr timespec kTimes[2] = {{1, 0}, {1, 0}};
constexpr size_t kFilesPerThreadMin = 100;

std::string BootName() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id.substr(0, 8);
}

// Writes below the folder `root`, which nobody else knows yet.
class TreeWriter {
 public:
  TreeWriter(const BlobStore& blobs, std::string root) : blobs_(blobs), root_(std::move(root)) {}

  Status Write(const TreeListing& listing) {
    for (const std::string& path : listing.directories) {
      if (mkdir(Below(path).c_str(), 0700) != 0) return OsError(errno, "make", Below(path));
    }
    TASKMINT_RETURN_IF_ERROR(WriteFiles(listing.files));
    // After the files: nothing is ever written through a link.
    for (const auto& link : listing.links) {
      const std::string path = Below(link.path);
      if (symlink(link.target.c_str(), path.c_str()) != 0) return OsError(errno, "make", path);
      utimensat(AT_FDCWD, path.c_str(), kTimes, AT_SYMLINK_NOFOLLOW);
    }
    for (auto it = listing.directories.rbegin(); it != listing.directories.rend(); ++it) {
      TASKMINT_RETURN_IF_ERROR(Finish(Below(*it)));
    }
    return Finish(root_);
  }

  // Adds files to what `listing` says is there; never over it, nor through a link.
  Status Add(const TreeListing& listing, const FileTree& more) {
    std::unordered_set<std::string> taken;
    for (const auto& file : listing.files) taken.insert(file.path);
    for (const auto& link : listing.links) taken.insert(link.path);
    std::set<std::string> folders(listing.directories.begin(), listing.directories.end());
    std::set<std::string> changed;
    for (const auto& [path, entry] : more.files()) {
      if (entry.kind == FileEntry::Kind::kSymlink || taken.contains(path) ||
          folders.contains(path)) {
        continue;
      }
      TASKMINT_ASSIGN_OR_RETURN(const bool there, MakeParents(path, taken, folders, changed));
      if (!there) continue;
      TASKMINT_RETURN_IF_ERROR(
          WriteBytes(Below(path), *entry.content, entry.kind == FileEntry::Kind::kExecutable));
    }
    for (auto it = changed.rbegin(); it != changed.rend(); ++it) {
      TASKMINT_RETURN_IF_ERROR(Finish(Below(*it)));
    }
    return OkStatus();
  }

 private:
  // Notes the folder that `path` changes in `changed`. False where a file or a link is in the way.
  Result<bool> MakeParents(const std::string& path, const std::unordered_set<std::string>& taken,
                           std::set<std::string>& folders, std::set<std::string>& changed) {
    const size_t slash = path.rfind('/');
    const std::string parent = path.substr(0, slash == std::string::npos ? 0 : slash);
    if (taken.contains(parent)) return false;
    if (!parent.empty() && !folders.contains(parent)) {
      TASKMINT_ASSIGN_OR_RETURN(const bool there, MakeParents(parent, taken, folders, changed));
      if (!there) return false;
      if (mkdir(Below(parent).c_str(), 0700) != 0) return OsError(errno, "make", Below(parent));
      folders.insert(parent);
    }
    changed.insert(parent);
    return true;
  }

  std::string Below(const std::string& path) const { return root_ + "/" + path; }

  static Status Finish(const std::string& folder) {
    const bool done =
        chmod(folder.c_str(), 0755) == 0 && utimensat(AT_FDCWD, folder.c_str(), kTimes, 0) == 0;
    return done ? OkStatus() : OsError(errno, "finish", folder);
  }

  Status WriteFiles(const std::vector<TreeListing::File>& files) {
    std::atomic<size_t> next = 0;
    std::mutex mutex;
    Status status;
    const auto work = [&] {
      for (size_t i = next++; i < files.size(); i = next++) {
        const Status written = WriteFile(files[i]);
        if (written.ok()) continue;
        next = files.size();
        const std::lock_guard lock(mutex);
        if (status.ok()) status = written;
        return;
      }
    };
    const size_t threads = std::min<size_t>({4, std::max(1U, std::thread::hardware_concurrency()),
                                             files.size() / kFilesPerThreadMin + 1});
    {
      std::vector<std::jthread> others;
      for (size_t i = 1; i < threads; ++i) others.emplace_back(work);
      work();
    }
    return status;
  }

  Status WriteFile(const TreeListing::File& file) const {
    TASKMINT_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Get(file.digest));
    if (bytes.size() != file.size_bytes) {
      return {Code::kDataLoss, Boundary::kStore,
              "blob " + file.digest +
                  " has another size than its folder says; run `taskmint store "
                  "check`"};
    }
    return WriteBytes(Below(file.path), bytes, file.executable);
  }

  static Status WriteBytes(const std::string& path, std::string_view bytes, bool executable) {
    const int number =
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (number < 0) return OsError(errno, "write", path);
    Status status = Fill(number, bytes, executable ? 0755 : 0644, path);
    close(number);
    return status;
  }

  static Status Fill(int number, std::string_view bytes, mode_t mode, const std::string& path) {
    while (!bytes.empty()) {
      const ssize_t written = write(number, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return OsError(errno, "write", path);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    const bool done = fchmod(number, mode) == 0 && futimens(number, kTimes) == 0;
    return done ? OkStatus() : OsError(errno, "finish", path);
  }

  const BlobStore& blobs_;
  std::string root_;
};

// Whether the folder still is what was written there: every file of `listing` with its size, and
// nothing changed since, by the fixed time that all files have. Costs a look at each file.
bool IsWhole(const std::string& folder, const TreeListing& listing) {
  std::unordered_map<std::string, uint64_t> sizes;
  for (const auto& file : listing.files) sizes[file.path] = file.size_bytes;
  size_t links = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    struct stat status {};
    if (lstat(it->path().c_str(), &status) != 0 || status.st_mtime != kTimes[0].tv_sec)
      return false;
    links += S_ISLNK(status.st_mode) ? 1 : 0;
    if (!S_ISREG(status.st_mode)) continue;
    const auto listed = sizes.find(it->path().lexically_relative(folder).string());
    if (listed == sizes.end()) continue;  // made from the layer
    if (listed->second != static_cast<uint64_t>(status.st_size)) return false;
    sizes.erase(listed);
  }
  return !error && sizes.empty() && links == listing.links.size();
}

// Folders that were found whole or written by this process.
class WholeFolders {
 public:
  bool Contains(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return paths_.contains(path);
  }
  void Add(const std::string& path) {
    const std::lock_guard lock(mutex_);
    paths_.insert(path);
  }

 private:
  std::mutex mutex_;
  std::unordered_set<std::string> paths_;
};

WholeFolders& Whole() {
  static auto* folders = new WholeFolders();
  return *folders;
}

}  // namespace

Result<std::string> BlobStore::Materialize(const std::string& tree_digest, const std::string& cache,
                                           const Completion& complete) const {
  static const std::string boot = BootName();
  if (!IsDigest(tree_digest)) {
    return Status(Code::kInvalidArgument, Boundary::kStore,
                  "'" + tree_digest + "' is not a digest");
  }
  std::string path = cache + "/" + tree_digest + "-" + boot;
  struct stat status {};
  const bool there = lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  if (there && Whole().Contains(path)) return path;

  TASKMINT_ASSIGN_OR_RETURN(const TreeListing listing, ListTree(*this, tree_digest));
  if (there && IsWhole(path, listing)) {
    Whole().Add(path);
    return path;
  }
  std::error_code error;
  fs::create_directories(cache, error);
  if (error) return OsError(error.value(), "make the folder", cache);
  const std::string temporary =
      cache + "/tmp-" + std::to_string(getpid()) + "-" + std::to_string(SystemRandom());
  if (there) {
    // A store that was copied without its times of change, for one.
    Log(LogLevel::kInfo, "an unpacked layer is not as it was left, and is unpacked again",
        {{"at", path}});
    const std::string damaged = temporary + "-damaged";
    // ENOENT: another process has just set it aside.
    if (rename(path.c_str(), damaged.c_str()) != 0 && errno != ENOENT) {
      return OsError(errno, "set aside", path);
    }
    fs::remove_all(damaged, error);
  }
  if (mkdir(temporary.c_str(), 0700) != 0) return OsError(errno, "make", temporary);
  TreeWriter writer(*this, temporary);
  Status written = writer.Write(listing);
  if (written.ok() && complete) {
    const Result<FileTree> more = complete(temporary);
    written = more.ok() ? writer.Add(listing, *more) : more.status();
  }
  if (written.ok() && rename(temporary.c_str(), path.c_str()) == 0) {
    Whole().Add(path);
    return path;
  }
  // Another thread or process may have been faster.
  if (written.ok() && errno != EEXIST && errno != ENOTEMPTY) written = OsError(errno, "make", path);
  fs::remove_all(temporary, error);
  TASKMINT_RETURN_IF_ERROR(written);
  return path;
}

}  // namespace taskmint::datasets
