#include "datasets/blob_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <unordered_map>

#include "datasets/compression.h"
#include "datasets/os_error.h"
#include "datasets/tree_reader.h"
#include "proto/base/digest.h"
#include "proto/base/random.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Status MakeFolders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? OsError(error.value(), "make the folder", path) : OkStatus();
}

Status WriteWhole(const std::string& path, std::string_view bytes) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.number() < 0) return OsError(errno, "write", path);
  while (!bytes.empty()) {
    const ssize_t written = write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return OsError(errno, "write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

// The whole file, at most `bytes_max` of it.
Result<std::string> ReadWhole(const std::string& path, uint64_t bytes_max) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() < 0) return OsError(errno, "read", path);
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return OsError(errno, "read", path);
  if (!S_ISREG(status.st_mode)) return OsError(EIO, "read", path);
  std::string bytes(std::min(static_cast<uint64_t>(status.st_size), bytes_max), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = read(file.number(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError(errno, "read", path);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

Status DamagedBlob(const std::string& digest, const std::string& path, const std::string& why) {
  return {Code::kDataLoss, Boundary::kStore,
          "blob " + digest + " is damaged (" + why +
              "): `taskmint store check` says what needs it; "
              "put back " +
              path + " from a copy of the store, or mint into a new store"};
}

}  // namespace

BlobStore::BlobStore(std::string folder) : folder_(std::move(folder)) {}

std::string BlobStore::PathOf(const std::string& digest) const {
  return folder_ + "/sha256/" + digest.substr(0, 2) + "/" + digest.substr(2);
}

bool BlobStore::Contains(const std::string& digest) const { return DiskBytes(digest).ok(); }

Result<uint64_t> BlobStore::DiskBytes(const std::string& digest) const {
  struct stat status {};
  const bool there = IsDigest(digest) && stat(PathOf(digest).c_str(), &status) == 0;
  // No frame is empty: such a file is what a power failure left, and is written again.
  if (!there || status.st_size == 0) {
    return Status(Code::kNotFound, Boundary::kStore, "blob " + digest + " is not in the store");
  }
  return static_cast<uint64_t>(status.st_size);
}

Result<std::string> BlobStore::Put(std::string_view bytes) {
  std::string digest = Sha256Hex(bytes);
  TASKMINT_RETURN_IF_ERROR(PutAs(digest, bytes));
  return digest;
}

Status BlobStore::PutAs(const std::string& digest, std::string_view bytes) {
  if (Contains(digest)) return OkStatus();
  if (bytes.size() > kBlobBytesMax) {
    return {Code::kInvalidArgument, Boundary::kStore,
            "a file of " + std::to_string(bytes.size()) + " bytes is too large for the store"};
  }
  const std::string frame = Compress(bytes);
  const std::string path = PathOf(digest);
  const std::string temporary =
      folder_ + "/tmp/" + std::to_string(getpid()) + "-" + std::to_string(SystemRandom());
  Status status = WriteWhole(temporary, frame);
  if (status.code() == Code::kNotFound) {
    TASKMINT_RETURN_IF_ERROR(MakeFolders(folder_ + "/tmp"));
    status = WriteWhole(temporary, frame);
  }
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = errno == ENOENT ? MakeFolders(fs::path(path).parent_path()) : OkStatus();
    if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
      status = OsError(errno, "write", path);
    }
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

Result<std::string> BlobStore::Get(const std::string& digest) const {
  if (!IsDigest(digest)) {
    return Status(Code::kInvalidArgument, Boundary::kStore, "'" + digest + "' is not a digest");
  }
  const std::string path = PathOf(digest);
  // zstd adds little to what it cannot compress.
  const Result<std::string> frame = ReadWhole(path, kBlobBytesMax + (kBlobBytesMax >> 6));
  if (frame.status().code() == Code::kNotFound) {
    return Status(Code::kNotFound, Boundary::kStore,
                  "blob " + digest +
                      " is not in the store: `taskmint store check` says what needs "
                      "it; put back " +
                      path + " from a copy of the store, or mint into a new one");
  }
  if (frame.status().code() == Code::kDataLoss) {
    return DamagedBlob(digest, path, frame.status().message());
  }
  TASKMINT_RETURN_IF_ERROR(frame.status());
  Result<std::string> bytes = Decompress(*frame, kBlobBytesMax);
  if (!bytes.ok()) return DamagedBlob(digest, path, bytes.status().message());
  if (Sha256Hex(*bytes) != digest) return DamagedBlob(digest, path, "its digest differs");
  return bytes;
}

Result<std::string> BlobStore::PutTree(const FileTree& tree) {
  Status status;
  const std::string root = EmitTree(tree, [&](const std::string& digest, std::string_view bytes) {
    if (status.ok()) status = PutAs(digest, bytes);
  });
  TASKMINT_RETURN_IF_ERROR(status);
  return root;
}

Result<FileTree> BlobStore::GetTree(const std::string& digest) const {
  TASKMINT_ASSIGN_OR_RETURN(const TreeListing listing, ListTree(*this, digest));
  FileTree tree;
  std::unordered_map<std::string, std::shared_ptr<const std::string>> contents;
  for (const auto& file : listing.files) {
    std::shared_ptr<const std::string>& content = contents[file.digest];
    if (content == nullptr) {
      TASKMINT_ASSIGN_OR_RETURN(std::string bytes, Get(file.digest));
      content = std::make_shared<const std::string>(std::move(bytes));
    }
    if (content->size() != file.size_bytes) {
      return DamagedBlob(digest, PathOf(digest), "a file has another size than it says");
    }
    const auto kind = file.executable ? FileEntry::Kind::kExecutable : FileEntry::Kind::kRegular;
    TASKMINT_RETURN_IF_ERROR(tree.Set(file.path, {kind, content}));
  }
  for (const auto& link : listing.links) {
    TASKMINT_RETURN_IF_ERROR(tree.Set(
        link.path, {FileEntry::Kind::kSymlink, std::make_shared<const std::string>(link.target)}));
  }
  return tree;
}

Status BlobStore::ForEach(const std::function<void(const BlobOnDisk&)>& visit) const {
  const std::string root = folder_ + "/sha256";
  std::error_code error;
  fs::recursive_directory_iterator it(root, error);
  if (error == std::errc::no_such_file_or_directory) return OkStatus();
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it.depth() != 1) continue;
    BlobOnDisk blob;
    blob.digest = it->path().parent_path().filename().string() + it->path().filename().string();
    struct stat status {};
    const bool there = lstat(it->path().c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (!there || !IsDigest(blob.digest)) continue;
    blob.disk_bytes = static_cast<uint64_t>(status.st_size);
    blob.modified_ms = int64_t{status.st_mtim.tv_sec} * 1000 + status.st_mtim.tv_nsec / 1'000'000;
    visit(blob);
  }
  return error ? OsError(error.value(), "read the folder", root) : OkStatus();
}

Status BlobStore::ReachableFromTree(const std::string& root, std::unordered_set<std::string>& trees,
                                    std::unordered_set<std::string>& files) const {
  std::vector<std::string> open = {root};
  while (!open.empty()) {
    const std::string digest = std::move(open.back());
    open.pop_back();
    if (!trees.insert(digest).second) continue;
    TASKMINT_ASSIGN_OR_RETURN(const v1::Directory record, ReadDirectory(*this, digest));
    for (const auto& file : record.files()) files.insert(file.digest());
    for (const auto& child : record.directories()) open.push_back(child.digest());
  }
  return OkStatus();
}

Status BlobStore::Remove(const std::string& digest) {
  if (!IsDigest(digest)) {
    return {Code::kInvalidArgument, Boundary::kStore, "'" + digest + "' is not a digest"};
  }
  const std::string path = PathOf(digest);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return OsError(errno, "remove", path);
  return OkStatus();
}

Result<int64_t> BlobStore::RemoveTemporaryFiles() {
  std::error_code error;
  const auto removed = fs::remove_all(folder_ + "/tmp", error);
  if (error) return OsError(error.value(), "empty the folder", folder_ + "/tmp");
  return removed > 0 ? static_cast<int64_t>(removed) - 1 : 0;
}

Status BlobStore::Sync() const {
  const Descriptor folder(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number() < 0) return errno == ENOENT ? OkStatus() : OsError(errno, "open", folder_);
  return syncfs(folder.number()) == 0 ? OkStatus() : OsError(errno, "write", folder_);
}

}  // namespace taskmint::datasets
