#include "sandbox/agent/folders.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>

#include "sandbox/agent/processes.h"

namespace taskmint::sandbox {
namespace {

// Folders held open at once.
constexpr int kDepthMax = 64;
constexpr int64_t kEmptyMsMax = 60'000;

struct Emptying {
  int root;
  dev_t device;
  int64_t deadline_ms;
  uint64_t moved = 0;
};

int EmptyLevel(int folder, int depth, Emptying& state);

// Removes one name. `kept` is set where another file system is mounted.
int RemoveName(int folder, const char* name, int depth, Emptying& state, bool* kept) {
  if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return errno;
  const UniqueFd child = OpenFolder(folder, name);
  if (!child.valid()) return errno == ENOENT ? 0 : errno;
  struct stat info;
  if (fstat(child.get(), &info) != 0) return errno;
  if (info.st_dev != state.device) {
    *kept = true;
    return 0;
  }
  if (depth >= kDepthMax) {
    // Deeper than descriptors reach: continue from the top. Moving a folder writes its "..".
    if ((info.st_mode & 0700) != 0700) fchmod(child.get(), 0700);
    for (int tries = 0; tries < 1000; ++tries) {
      const std::string target = ".removed-" + std::to_string(state.moved++);
      if (renameat2(folder, name, state.root, target.c_str(), RENAME_NOREPLACE) == 0) return 0;
      if (errno != EEXIST) return errno;
    }
    return EEXIST;
  }
  if (const int error = EmptyLevel(child.get(), depth + 1, state); error != 0) return error;
  if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  if (errno == EBUSY) {
    *kept = true;
    return 0;
  }
  // Something was put in meanwhile, or a mount lies below: the caller's next pass decides.
  return errno == ENOTEMPTY ? 0 : errno;
}

int EmptyLevel(int folder, int depth, Emptying& state) {
  struct stat info;
  if (fstat(folder, &info) != 0) return errno;
  if ((info.st_mode & 0700) != 0700) fchmod(folder, info.st_mode | 0700);
  bool left = true;
  while (left) {
    if (NowMs() > state.deadline_ms) return ETIMEDOUT;
    left = false;
    const int error = ForEachName(folder, [&](const char* name) {
      bool kept = false;
      const int failed = RemoveName(folder, name, depth, state, &kept);
      if (!kept) left = true;
      return failed;
    });
    if (error != 0) return error;
  }
  return 0;
}

}  // namespace

UniqueFd OpenFolder(int parent, const char* name) {
  UniqueFd folder(openat(parent, name, kFolderFlags));
  if (!folder.valid() && errno == EACCES && fchmodat(parent, name, 0755, 0) == 0) {
    folder.reset(openat(parent, name, kFolderFlags));
  }
  return folder;
}

// Through a descriptor of its own, so that the folder's offset is untouched.
int ForEachName(int folder, const std::function<int(const char*)>& visit) {
  const int copy = openat(folder, ".", kFolderFlags);
  if (copy < 0) return errno;
  DIR* stream = fdopendir(copy);
  if (stream == nullptr) {
    close(copy);
    return errno;
  }
  int error = 0;
  while (error == 0) {
    errno = 0;
    const dirent* entry = readdir(stream);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") error = visit(entry->d_name);
  }
  closedir(stream);
  return error;
}

int EmptyFolder(int folder) {
  struct stat info;
  if (fstat(folder, &info) != 0) return errno;
  Emptying state{folder, info.st_dev, NowMs() + kEmptyMsMax};
  return EmptyLevel(folder, 0, state);
}

int RemoveAt(int folder, const char* name) {
  for (int tries = 0; tries < 2; ++tries) {
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno == EISDIR || errno == EPERM) {
      UniqueFd child = OpenFolder(folder, name);
      if (!child.valid()) return errno == ENOENT ? 0 : errno;
      if (const int error = EmptyFolder(child.get()); error != 0) return error;
      if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    }
    // Perhaps the folder around it is closed to us.
    if (errno != EACCES || fchmod(folder, 0755) != 0) return errno;
  }
  return EACCES;
}

}  // namespace taskmint::sandbox
