#include "sandbox/base_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

Status Refused(const std::string& path, const std::string& why) {
  return Error(Code::kInvalidArgument,
               "'" + Printable(path) + "' cannot be a base: " + why +
                   "; a base is a whole root tree, such as mmdebstrap makes");
}

UniqueFd OpenIn(int folder, const std::string& path, int flags, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(
      ::syscall(SYS_openat2, folder, path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

constexpr uint64_t kWithoutLinks = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

std::string TargetOf(int folder, const char* name) {
  std::array<char, 4096> target;
  const ssize_t size = ::readlinkat(folder, name, target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<size_t>(size)) : std::string();
}

}  // namespace

Result<BaseTree> BaseTree::Open(const std::string& path) {
  BaseTree tree;
  tree.folder_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::array<char, PATH_MAX> real;
  if (path.empty() || path[0] != '/' || !tree.folder_.valid() ||
      ::realpath(path.c_str(), real.data()) == nullptr) {
    return Refused(
        path, path.empty() || path[0] != '/' ? "it is no absolute path" : std::strerror(errno));
  }
  tree.path_ = real.data();
  struct stat info, root;
  if (::fstat(tree.fd(), &info) != 0 || ::stat("/", &root) != 0) {
    return Refused(path, std::strerror(errno));
  }
  if (info.st_dev == root.st_dev && info.st_ino == root.st_ino) {
    return Refused(path, "it is the root of this machine, whose /usr is the base without one");
  }
  for (const char* name : {"usr", "etc"}) {
    if (::fstatat(tree.fd(), name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT && std::string_view(name) == "etc") continue;
      return Refused(path, std::string("its ") + name + ": " + std::strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) return Refused(path, std::string("its ") + name + " is no folder");
  }
  return tree;
}

Result<std::vector<BaseTree::Entry>> BaseTree::Entries(const std::string& folder) const {
  UniqueFd opened = OpenIn(fd(), folder, O_RDONLY | O_DIRECTORY, kWithoutLinks);
  DIR* stream = opened.valid() ? ::fdopendir(opened.get()) : nullptr;
  if (stream == nullptr) {
    return Refused(path_,
                   "cannot read its folder '" + Printable(folder) + "': " + std::strerror(errno));
  }
  const int number = opened.release();
  std::vector<Entry> entries;
  while (const dirent* found = ::readdir(stream)) {
    Entry entry;
    entry.name = found->d_name;
    struct stat info;
    if (entry.name == "." || entry.name == ".." ||
        ::fstatat(number, found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (S_ISDIR(info.st_mode)) entry.kind = Entry::Kind::kFolder;
    if (S_ISREG(info.st_mode)) entry.kind = Entry::Kind::kFile;
    if (S_ISLNK(info.st_mode)) {
      entry.kind = Entry::Kind::kLink;
      entry.target = TargetOf(number, found->d_name);
      if (entry.target.empty()) continue;
    }
    entries.push_back(std::move(entry));
  }
  ::closedir(stream);
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

bool BaseTree::Has(const std::string& path) const {
  const UniqueFd found = OpenIn(fd(), path, O_PATH | O_NOFOLLOW, kWithoutLinks);
  struct stat info;
  // Its last part is opened, even where it is a link.
  return found.valid() && ::fstat(found.get(), &info) == 0 && !S_ISLNK(info.st_mode);
}

std::optional<std::string> BaseTree::Resolve(const std::string& path) const {
  const UniqueFd found = OpenIn(fd(), path, O_PATH, RESOLVE_IN_ROOT);
  if (!found.valid()) return std::nullopt;
  const std::string real =
      TargetOf(AT_FDCWD, ("/proc/self/fd/" + std::to_string(found.get())).c_str());
  if (!real.starts_with(path_ + "/")) return std::nullopt;
  return real.substr(path_.size() + 1);
}

Result<std::string> BaseTree::Read(const std::string& path, size_t bytes_max) const {
  // A FIFO must not be waited for.
  const UniqueFd file = OpenIn(fd(), path, O_RDONLY | O_NONBLOCK, RESOLVE_IN_ROOT);
  struct stat info;
  if (!file.valid() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Error(Code::kNotFound, "the base has no file /" + Printable(path));
  }
  std::string content;
  std::string buffer(1 << 16, '\0');
  while (content.size() <= bytes_max) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Refused(path_, "cannot read its /" + path + ": " + std::strerror(errno));
    if (size == 0) return content;
    content.append(buffer, 0, static_cast<size_t>(size));
  }
  return Refused(path_, "its /" + path + " is too large");
}

}  // namespace taskmint::sandbox
