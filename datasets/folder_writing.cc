#include "datasets/folder_writing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "datasets/os_error.h"
#include "proto/base/random.h"

namespace taskmint::datasets {
namespace {

std::string BesideName(const std::string& path) {
  const std::filesystem::path whole(path);
  const std::string name =
      ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(SystemRandom());
  return (whole.parent_path() / name).string();
}

Status WriteNew(const std::string& path, std::string_view bytes, mode_t mode) {
  const int number = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (number < 0) return OsError(errno, "write", path);
  Status status;
  while (status.ok() && !bytes.empty()) {
    const ssize_t written = write(number, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      status = OsError(errno, "write", path);
    } else {
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }
  if (status.ok() && fchmod(number, mode) != 0) status = OsError(errno, "write", path);
  // A file system over a network says only here that it is full.
  if (close(number) != 0 && status.ok()) status = OsError(errno, "write", path);
  return status;
}

Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 || chmod(path.c_str(), 0755) != 0) {
    return OsError(errno, "make the folder", path);
  }
  return OkStatus();
}

std::string Below(const std::string& root, const std::string& path) { return root + "/" + path; }

// The folders above `path` that are not made yet.
Status MakeFoldersAbove(const std::string& root, const std::string& path,
                        std::set<std::string>& made) {
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (!made.insert(folder).second) continue;
    TASKMINT_RETURN_IF_ERROR(MakeFolder(Below(root, folder)));
  }
  return OkStatus();
}

Status LinkOrCopy(const std::string& from, const std::string& to) {
  if (link(from.c_str(), to.c_str()) == 0) return OkStatus();
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  if (!error) return OkStatus();
  return OsError(error.value(), "write", to);
}

Status FillFolder(const TaskFolder& folder, const std::string& root) {
  TASKMINT_RETURN_IF_ERROR(MakeFolder(root));
  std::set<std::string> made;
  for (const auto& [path, entry] : folder.files.files()) {
    TASKMINT_RETURN_IF_ERROR(MakeFoldersAbove(root, path, made));
    const std::string whole = Below(root, path);
    if (entry.kind == FileEntry::Kind::kSymlink) {
      if (symlink(entry.content->c_str(), whole.c_str()) != 0) return OsError(errno, "make", whole);
      continue;
    }
    const mode_t mode = entry.kind == FileEntry::Kind::kExecutable ? 0755 : 0644;
    TASKMINT_RETURN_IF_ERROR(WriteNew(whole, *entry.content, mode));
  }
  for (const auto& [path, layer] : folder.layers) {
    TASKMINT_RETURN_IF_ERROR(MakeFoldersAbove(root, path, made));
    TASKMINT_RETURN_IF_ERROR(LinkOrCopy(layer.host_path, Below(root, path)));
  }
  return OkStatus();
}

}  // namespace

Status WriteTaskFolder(const TaskFolder& folder, const std::string& path) {
  const std::string beside = BesideName(path);
  std::error_code error;
  Status status = FillFolder(folder, beside);
  if (status.ok()) std::filesystem::remove_all(path, error);
  if (status.ok() && rename(beside.c_str(), path.c_str()) != 0) {
    status = OsError(errno, "write", path);
  }
  if (!status.ok()) std::filesystem::remove_all(beside, error);
  return status;
}

Status WriteFileWhole(const std::string& path, std::string_view bytes) {
  const std::string beside = BesideName(path);
  Status status = WriteNew(beside, bytes, 0644);
  if (status.ok() && rename(beside.c_str(), path.c_str()) != 0) {
    status = OsError(errno, "write", path);
  }
  if (!status.ok()) unlink(beside.c_str());
  return status;
}

}  // namespace taskmint::datasets
