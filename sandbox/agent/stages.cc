#include "sandbox/agent/stages.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sandbox/agent/layer_mounts.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

// What becomes the user's, while we still may give it away.
int GiveFolders(const std::vector<Stage>& stages, uid_t uid) {
  if (uid == 0) return 0;
  for (const Stage& stage : stages) {
    if (stage.kind != Stage::Kind::kOwn) continue;
    const UniqueFd folder(open(stage.text.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info;
    if (!folder.valid() || fstat(folder.get(), &info) != 0) return Fail("open", stage.text);
    if (!S_ISDIR(info.st_mode)) continue;  // a file stays whose it is, and a link is none of ours
    const std::string place = "/proc/self/fd/" + std::to_string(folder.get());
    if (chown(place.c_str(), uid, uid) != 0) return Fail("chown", stage.text);
  }
  return 0;
}

// A user who is not root may mount in a user namespace alone; there it stays the same user. So it
// is for the slot's user where root is in a container that forbids it to mount.
int EnterNamespaces(uid_t drop_to) {
  if (drop_to != 0 || getuid() == 0) {
    if (unshare(CLONE_NEWNS) == 0) return 0;
    if (errno != EPERM || drop_to == 0) return Fail("unshare", "mount namespace");
    if (const int failed = DropUser(drop_to); failed != 0) return failed;
    prctl(PR_SET_DUMPABLE, 1);  // else the maps are root's
  }
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Fail("unshare", "user namespace");
  const auto map = [](uint32_t id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; };
  if (!WriteText("/proc/self/setgroups", "deny") || !WriteText("/proc/self/uid_map", map(uid)) ||
      !WriteText("/proc/self/gid_map", map(gid))) {
    return Fail("map", "user namespace");
  }
  return 0;
}

// What a stage shows, held open: /tmp, where it may lie, is covered later.
struct Source {
  UniqueFd path;
  std::vector<UniqueFd> layers;
};

// A file or folder; invalid with errno set.
UniqueFd OpenBelow(const Stage& stage) {
  const UniqueFd base(open(stage.base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) return UniqueFd();
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd found(
      static_cast<int>(syscall(SYS_openat2, base.get(), stage.text.c_str(), &how, sizeof how)));
  struct stat info;
  if (!found.valid() || fstat(found.get(), &info) != 0) return UniqueFd();
  if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)) return found;
  errno = EINVAL;  // it was another thing when it was chosen
  return UniqueFd();
}

int OpenSource(const Stage& stage, Source* source) {
  switch (stage.kind) {
    case Stage::Kind::kPath:
    case Stage::Kind::kOwn:
      source->path.reset(open(stage.text.c_str(), O_PATH | O_CLOEXEC));
      return source->path.valid() ? 0 : Fail("open", stage.text);
    case Stage::Kind::kBelow:
      source->path = OpenBelow(stage);
      return source->path.valid() ? 0 : Fail("open", stage.base + "/" + stage.text);
    case Stage::Kind::kLayers:
      return OpenLayers(stage.layers, &source->layers);
    case Stage::Kind::kMemory:
      return 0;
  }
  return 1;
}

int MountMemory(const Stage& stage, const std::string& target, uid_t uid) {
  std::string options = stage.text;
  if (uid != 0) {
    const std::string id = std::to_string(uid);
    options.append(",uid=").append(id).append(",gid=").append(id);
  }
  if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", target);
  if (mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return Fail("mount", options);
  }
  return 0;
}

int BindPath(const Stage& stage, const UniqueFd& path, const std::string& target) {
  const std::string source = "/proc/self/fd/" + std::to_string(path.get());
  struct stat info;
  if (fstat(path.get(), &info) != 0) return Fail("stat", stage.text);
  if (S_ISDIR(info.st_mode)) {
    if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", target);
  } else {
    const UniqueFd file(open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (!file.valid()) return Fail("create", target);
  }
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return Fail("bind", stage.text);
  }
  return 0;
}

}  // namespace

int Fail(const char* what, const std::string& subject) {
  std::fprintf(stderr, "%s %s: %s\n", what, subject.c_str(), std::strerror(errno));
  return 1;
}

bool WriteText(const char* path, const std::string& text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

int DropUser(uid_t uid) {
  if (uid == 0 || getuid() == uid) return 0;
  const gid_t gid = uid;
  if (setgroups(0, nullptr) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0)
    return 0;
  return Fail("drop to user", std::to_string(uid));
}

// Host folders may lie where the slot's user cannot go (below /root): bound here, while we still
// may, to a folder that it can reach. The mounts are in a namespace of our own and die with it.
int MountStages(const std::vector<Stage>& stages, uid_t uid) {
  if (stages.empty()) return 0;
  if (const int failed = GiveFolders(stages, uid); failed != 0) return failed;
  if (const int failed = EnterNamespaces(uid); failed != 0) return failed;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Fail("private", "/");
  std::vector<Source> sources(stages.size());
  for (size_t i = 0; i < stages.size(); ++i) {
    if (const int failed = OpenSource(stages[i], &sources[i]); failed != 0) return failed;
  }
  if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") != 0) {
    return Fail("mount", "/tmp");
  }
  for (size_t i = 0; i < stages.size(); ++i) {
    const std::string target = "/tmp/" + std::to_string(i);
    int failed = 0;
    if (stages[i].kind == Stage::Kind::kMemory)
      failed = MountMemory(stages[i], target, uid);
    else if (stages[i].kind == Stage::Kind::kLayers)
      failed = MountLayers(stages[i], sources[i].layers, target, uid);
    else
      failed = BindPath(stages[i], sources[i].path, target);
    if (failed != 0) return failed;
  }
  return 0;
}

}  // namespace taskmint::sandbox
