#include "sandbox/folder_copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/utf8.h"
#include "sandbox/errors.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

constexpr int kLevelsMax = 256;
constexpr int64_t kNamesMax = 4'000'000;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr timespec kTimes[2] = {{0, 0}, {0, 0}};

Status Unreadable(const std::string& path) {
  const int number = errno;
  const Code code = number == EMFILE || number == ENFILE || number == ENOMEM
                        ? Code::kUnavailable
                        : Code::kInvalidArgument;
  return Error(code, "cannot read '" + Printable(path) + "': " + std::strerror(number));
}

Status Unwritable(const std::string& path) {
  const int number = errno;
  const Code code =
      number == ENOSPC || number == EDQUOT ? Code::kResourceExhausted : Code::kUnavailable;
  return Error(code, "cannot write '" + Printable(path) + "': " + std::strerror(number));
}

bool WriteWhole(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(file, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

// Creates a file that is not there; invalid with errno set.
UniqueFd CreateFile(int folder, const char* name) {
  return UniqueFd(
      ::openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

// What a new file gets once it is written.
bool Finish(int file, bool executable) {
  return ::fchmod(file, executable ? 0755 : 0644) == 0 && ::futimens(file, kTimes) == 0;
}

bool FinishLink(int folder, const char* name) {
  return ::utimensat(folder, name, kTimes, AT_SYMLINK_NOFOLLOW) == 0;
}

// Sets times last: what is made in a folder changes them.
bool FinishFolder(int folder) {
  return ::fchmod(folder, 0755) == 0 && ::futimens(folder, kTimes) == 0;
}

class Reader {
 public:
  explicit Reader(const FolderReading& reading) : reading_(reading), buffer_(1 << 20, '\0') {}

  // `into`: -1 for the digest alone.
  Result<std::string> Folder(int folder, int into, const std::string& path, int level) {
    if (level > kLevelsMax) {
      return Error(Code::kInvalidArgument, "'" + Printable(path) + "' is nested too deeply");
    }
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder, path));
    v1::Directory record;
    for (const std::string& name : names) {
      if (level == 0 && reading_.left_out.contains(name)) continue;
      if (reading_.stop.stop_requested()) return Error(Code::kCancelled, "cancelled");
      const std::string child = std::filesystem::path(path) / name;
      TASKMINT_RETURN_IF_ERROR(Entry(folder, into, name, child, level, &record));
    }
    if (into >= 0 && !FinishFolder(into)) return Unwritable(path);
    return Sha256Hex(record.SerializeAsString());
  }

 private:
  Result<std::vector<std::string>> NamesIn(int folder, const std::string& path) {
    const int copy = ::openat(folder, ".", kFolderFlags);
    DIR* stream = copy < 0 ? nullptr : ::fdopendir(copy);
    if (stream == nullptr) {
      const Status status = Unreadable(path);
      if (copy >= 0) ::close(copy);
      return status;
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      if (++names_ > kNamesMax) break;
      errno = 0;
    }
    const int number = errno;
    ::closedir(stream);
    errno = number;
    if (names_ > kNamesMax) {
      return Error(Code::kInvalidArgument, "the folder holds more than 4 million names");
    }
    if (number != 0) return Unreadable(path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status Entry(int folder, int into, const std::string& name, const std::string& path, int level,
               v1::Directory* record) {
    struct stat info;
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Unreadable(path);
    if (S_ISLNK(info.st_mode)) return Link(folder, into, name, path, record);
    if (S_ISREG(info.st_mode)) return File(folder, into, name, path, record);
    if (!S_ISDIR(info.st_mode)) {
      if (reading_.special_files_left_out) return OkStatus();
      return Error(Code::kInvalidArgument,
                   "'" + Printable(path) + "' is neither a file nor a folder nor a link");
    }
    const UniqueFd child(::openat(folder, name.c_str(), kFolderFlags));
    if (!child.valid()) return Unreadable(path);
    UniqueFd copy;
    if (into >= 0) {
      if (::mkdirat(into, name.c_str(), 0700) != 0) return Unwritable(path);
      copy.reset(::openat(into, name.c_str(), kFolderFlags));
      if (!copy.valid()) return Unwritable(path);
    }
    TASKMINT_ASSIGN_OR_RETURN(std::string digest, Folder(child.get(), copy.get(), path, level + 1));
    auto* entry = record->add_directories();
    entry->set_name(name);
    entry->set_digest(std::move(digest));
    return OkStatus();
  }

  Status Link(int folder, int into, const std::string& name, const std::string& path,
              v1::Directory* record) {
    std::string target(4096, '\0');
    const ssize_t size = ::readlinkat(folder, name.c_str(), target.data(), target.size());
    if (size <= 0 || static_cast<size_t>(size) == target.size()) return Unreadable(path);
    target.resize(static_cast<size_t>(size));
    if (into >= 0 &&
        (::symlinkat(target.c_str(), into, name.c_str()) != 0 || !FinishLink(into, name.c_str()))) {
      return Unwritable(path);
    }
    auto* entry = record->add_symlinks();
    entry->set_name(name);
    entry->set_target(std::move(target));
    return OkStatus();
  }

  Status File(int folder, int into, const std::string& name, const std::string& path,
              v1::Directory* record) {
    // A FIFO that took its place must not be waited for.
    const UniqueFd file(
        ::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info;
    if (!file.valid() || ::fstat(file.get(), &info) != 0) return Unreadable(path);
    if (!S_ISREG(info.st_mode)) {
      return Error(Code::kInvalidArgument, "'" + Printable(path) + "' changes while it is read");
    }
    UniqueFd copy;
    if (into >= 0) copy = CreateFile(into, name.c_str());
    if (into >= 0 && !copy.valid()) return Unwritable(path);
    StreamDigest digest;
    uint64_t total = 0;
    while (true) {
      const ssize_t size = ::read(file.get(), buffer_.data(), buffer_.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return Unreadable(path);
      if (size == 0) break;
      const std::string_view piece(buffer_.data(), static_cast<size_t>(size));
      digest.Add(piece);
      total += piece.size();
      if (into >= 0 && !WriteWhole(copy.get(), piece)) return Unwritable(path);
      if (reading_.stop.stop_requested()) return Error(Code::kCancelled, "cancelled");
    }
    const bool executable = (info.st_mode & S_IXUSR) != 0;
    if (into >= 0 && !Finish(copy.get(), executable)) return Unwritable(path);
    auto* entry = record->add_files();
    entry->set_name(name);
    entry->set_digest(digest.Hex());
    entry->set_size_bytes(total);
    entry->set_executable(executable);
    return OkStatus();
  }

  const FolderReading& reading_;
  std::string buffer_;
  int64_t names_ = 0;
};

// Opens the folder of a path below `into`, making what is missing.
Result<UniqueFd> FolderOf(int into, const std::string& path) {
  UniqueFd folder(::openat(into, ".", kFolderFlags));
  for (size_t begin = 0, slash; (slash = path.find('/', begin)) != std::string::npos;
       begin = slash + 1) {
    const std::string name = path.substr(begin, slash - begin);
    if (::mkdirat(folder.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
      return Unwritable(path);
    folder.reset(::openat(folder.get(), name.c_str(), kFolderFlags));
    if (!folder.valid() && (errno == ENOTDIR || errno == ELOOP)) {
      return Error(Code::kInvalidArgument, "'" + Printable(path) + "' lies below a file");
    }
    if (!folder.valid()) return Unwritable(path);
  }
  return folder;
}

// Times and modes of all folders, which the making of their files has changed.
Status FinishFolders(int folder, int level) {
  std::vector<std::string> folders;
  const int copy = ::openat(folder, ".", kFolderFlags);
  DIR* stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (stream == nullptr) return Unwritable("");
  while (const dirent* entry = ::readdir(stream)) {
    struct stat info;
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." &&
        ::fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(info.st_mode)) {
      folders.emplace_back(name);
    }
  }
  ::closedir(stream);
  if (level >= kLevelsMax) return Error(Code::kInvalidArgument, "the tree is nested too deeply");
  for (const std::string& name : folders) {
    const UniqueFd child(::openat(folder, name.c_str(), kFolderFlags));
    if (!child.valid()) return Unwritable(name);
    TASKMINT_RETURN_IF_ERROR(FinishFolders(child.get(), level + 1));
  }
  return FinishFolder(folder) ? OkStatus() : Unwritable("");
}

}  // namespace

Result<std::string> DigestFolder(int folder, const FolderReading& reading) {
  return Reader(reading).Folder(folder, -1, "", 0);
}

Result<std::string> CopyFolder(int folder, int into, const FolderReading& reading) {
  return Reader(reading).Folder(folder, into, "", 0);
}

Status WriteTree(const FileTree& tree, int into, const std::stop_token& stop) {
  for (const auto& [path, entry] : tree.files()) {
    if (stop.stop_requested()) return Error(Code::kCancelled, "cancelled");
    TASKMINT_ASSIGN_OR_RETURN(const UniqueFd folder, FolderOf(into, path));
    const std::string name = path.substr(path.rfind('/') + 1);
    if (entry.kind == FileEntry::Kind::kSymlink) {
      if (entry.content->empty() || entry.content->find('\0') != std::string::npos) {
        return Error(Code::kInvalidArgument, "'" + Printable(path) + "' is a link to no path");
      }
      if (::symlinkat(entry.content->c_str(), folder.get(), name.c_str()) != 0 ||
          !FinishLink(folder.get(), name.c_str())) {
        return Unwritable(path);
      }
      continue;
    }
    const UniqueFd file = CreateFile(folder.get(), name.c_str());
    if (!file.valid() || !WriteWhole(file.get(), *entry.content) ||
        !Finish(file.get(), entry.kind == FileEntry::Kind::kExecutable)) {
      return Unwritable(path);
    }
  }
  return FinishFolders(into, 0);
}

void RemoveFolder(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace taskmint::sandbox
