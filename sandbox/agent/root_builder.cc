#include "sandbox/agent/root_builder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "sandbox/agent/failure.h"
#include "sandbox/agent/layer_mounts.h"
#include "sandbox/agent/staging.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

using Kind = BuildStep::Kind;

constexpr unsigned long kMemoryFlags = MS_NOSUID | MS_NODEV;
constexpr uint64_t kWritable = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr uint64_t kReadOnly = kWritable | MOUNT_ATTR_RDONLY;
constexpr unsigned kCopyOfTree = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;

// A copy of what is mounted there, with all below; invalid with errno set.
UniqueFd TreeAt(int folder, const char* path) {
  return UniqueFd(open_tree(folder, path, kCopyOfTree));
}

// A file or folder of a base; invalid with errno set.
UniqueFd OpenBelow(const BuildStep& step) {
  const UniqueFd base(open(step.base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) return UniqueFd();
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd found(
      static_cast<int>(syscall(SYS_openat2, base.get(), step.source.c_str(), &how, sizeof how)));
  struct stat info;
  if (!found.valid() || fstat(found.get(), &info) != 0) return UniqueFd();
  if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)) return found;
  errno = EINVAL;  // it was another thing when it was chosen
  return UniqueFd();
}

// What a step shows of the host, taken along into the staging namespace.
struct Source {
  UniqueFd given;  // kOwn: the folder
  UniqueFd tree;
  std::vector<UniqueFd> layers;
};

bool IsOfHost(const BuildStep& step) {
  return step.kind == Kind::kShow || step.kind == Kind::kOwn || step.kind == Kind::kBelow ||
         step.kind == Kind::kLayers;
}

// Opens what becomes the user's and gives it away, while we still may. It may lie in a folder that
// a sandbox could write to: what is looked at is what is shown later.
int GiveFolders(const std::vector<BuildStep>& steps, uid_t uid, std::vector<Source>* sources) {
  for (size_t i = 0; i < steps.size(); ++i) {
    const BuildStep& step = steps[i];
    if (step.kind != Kind::kOwn) continue;
    UniqueFd& folder = (*sources)[i].given;
    folder.reset(open(step.source.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info;
    if (!folder.valid() || fstat(folder.get(), &info) != 0) return Fail("open", step.source);
    if (S_ISLNK(info.st_mode)) {
      errno = ELOOP;
      return Fail("open", step.source);
    }
    if (uid == 0 || !S_ISDIR(info.st_mode)) continue;  // a file stays whose it is
    const std::string place = "/proc/self/fd/" + std::to_string(folder.get());
    if (chown(place.c_str(), uid, uid) != 0) return Fail("chown", step.source);
  }
  return 0;
}

UniqueFd TreeOf(const BuildStep& step, const Source& source) {
  if (step.kind == Kind::kOwn) return TreeAt(source.given.get(), "");
  if (step.kind == Kind::kShow) return TreeAt(AT_FDCWD, step.source.c_str());
  const UniqueFd found = OpenBelow(step);
  return found.valid() ? TreeAt(found.get(), "") : UniqueFd();
}

int FindSource(const BuildStep& step, Source* source) {
  if (step.kind == Kind::kLayers) return OpenLayers(step.layers, &source->layers);
  source->tree = TreeOf(step, *source);
  if (source->tree.valid()) return 0;
  return Fail("show", step.base.empty() ? step.source : step.base + "/" + step.source);
}

// Whether trees may be copied here: not where the mount namespace belongs to another user namespace
// than the one in which we may mount.
bool MayCopyTrees() { return TreeAt(AT_FDCWD, "/dev/null").valid() || errno != EPERM; }

// Copies need a mount namespace of a user namespace in which we may mount.
int FindSources(const RootPlan& plan, std::vector<Source>* sources) {
  const auto& steps = plan.steps;
  if (plan.owner >= 0) {
    if (setns(plan.owner, CLONE_NEWUSER) != 0) return Fail("enter", "user namespace");
    prctl(PR_SET_DUMPABLE, 1);  // else what /proc has of this process is root's
  }
  if (std::none_of(steps.begin(), steps.end(), IsOfHost)) return 0;
  if (!MayCopyTrees() && unshare(CLONE_NEWNS) != 0) return Fail("unshare", "mount namespace");
  if (const int failed = GiveFolders(steps, plan.uid, sources); failed != 0) return failed;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!IsOfHost(steps[i])) continue;
    if (const int failed = FindSource(steps[i], &(*sources)[i]); failed != 0) return failed;
  }
  return 0;
}

// Every part of a place's path is a folder of ours or of what was mounted, never a link.
UniqueFd OpenPlace(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_PATH | O_NOFOLLOW | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

// What builds the root, with this process's rights and the user's name.
class Builder {
 public:
  explicit Builder(uid_t uid) : uid_(uid) {}

  int MountRoot() {
    if (MountMemoryAt(kStagedRoot, "mode=0755,size=64m,nr_inodes=10000") != 0) return 1;
    root_.reset(open(kStagedRoot, O_PATH | O_DIRECTORY | O_CLOEXEC));
    return root_.valid() ? 0 : Fail("open", kStagedRoot);
  }

  // The devices that every program may use, terminals and memory of its own; read-only beside that.
  int MakeDevices(const std::string& shared_memory) const {
    if (const int failed = MakeMemory("/dev", "mode=0755,size=64k,nr_inodes=100"); failed != 0) {
      return failed;
    }
    for (const char* device : kStagedDevices) {
      const int failed = Attach(TreeAt(AT_FDCWD, device), device, MOUNT_ATTR_NOSUID);
      if (failed != 0) return failed;
    }
    const std::pair<const char*, const char*> links[] = {
        {"/dev/stdin", "/proc/self/fd/0"},  {"/dev/stdout", "/proc/self/fd/1"},
        {"/dev/stderr", "/proc/self/fd/2"}, {"/dev/fd", "/proc/self/fd"},
        {"/dev/core", "/proc/kcore"},       {"/dev/ptmx", "pts/ptmx"}};
    for (const auto& [place, target] : links) {
      if (const int failed = MakeLink(place, target); failed != 0) return failed;
    }
    if (const int failed = MakeMemory("/dev/shm", shared_memory); failed != 0) return failed;
    const int failed =
        MountNew("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620");
    return failed != 0 ? failed : Seal("/dev");
  }

  int Take(const BuildStep& step, const Source& source) const {
    switch (step.kind) {
      case Kind::kLink:
        return MakeLink(step.place, step.source);
      case Kind::kFolder:
        return MakeFolder(step.place) ? 0 : Fail("mkdir", step.place);
      case Kind::kData:
        return WriteData(step);
      case Kind::kStaged:
        return Attach(TreeAt(AT_FDCWD, step.source.c_str()), step.place, kReadOnly);
      case Kind::kShow:
      case Kind::kBelow:
        return Attach(source.tree, step.place, kReadOnly);
      case Kind::kOwn:
        return Attach(source.tree, step.place, kWritable);
      case Kind::kLayers:
        return Attach(source.tree, step.place, step.source.empty() ? kReadOnly : kWritable);
      case Kind::kMemory:
        return MakeMemory(step.place, step.source);
      case Kind::kHideFolder:
        return Attach(TreeAt(AT_FDCWD, kStagedNothing), step.place, kReadOnly);
      case Kind::kHideFile:
        return Attach(TreeAt(AT_FDCWD, "/dev/null"), step.place, kReadOnly);
      case Kind::kSeal:
        return Seal(step.place);
    }
    return 1;
  }

  // Makes what is mounted there read-only.
  int Seal(const std::string& place) const {
    const UniqueFd mounted =
        place == "/" ? UniqueFd(dup(root_.get())) : OpenPlace(root_.get(), Below(place), 0);
    mount_attr attributes{};
    attributes.attr_set = kReadOnly;
    if (!mounted.valid() ||
        mount_setattr(mounted.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
      return Fail("seal", place);
    }
    return 0;
  }

 private:
  // The path, from the root's descriptor.
  static std::string Below(const std::string& place) { return place.substr(1); }

  // A folder and those above it, where they are missing.
  bool MakeFolder(const std::string& place) const {
    for (size_t end = place.find('/', 1);; end = place.find('/', end + 1)) {
      const std::string path = Below(place.substr(0, end));
      if (UniqueFd there = OpenPlace(root_.get(), path, O_DIRECTORY); !there.valid()) {
        if (errno != ENOENT || !MakeLast(path)) return false;
      }
      if (end == std::string::npos) return true;
    }
  }

  bool MakeLast(const std::string& path) const {
    const UniqueFd above = OpenAbove(path);
    return above.valid() && mkdirat(above.get(), NameOf(path), 0755) == 0;
  }

  UniqueFd OpenAbove(const std::string& path) const {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return UniqueFd(dup(root_.get()));
    return OpenPlace(root_.get(), path.substr(0, slash), O_DIRECTORY);
  }

  static const char* NameOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    return path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
  }

  // The folders above it, made where they are missing.
  UniqueFd MakeAbove(const std::string& place) const {
    const size_t slash = place.rfind('/');
    if (slash > 0 && !MakeFolder(place.substr(0, slash))) return UniqueFd();
    return OpenAbove(Below(place));
  }

  int MakeLink(const std::string& place, const std::string& target) const {
    const UniqueFd above = MakeAbove(place);
    if (!above.valid() || symlinkat(target.c_str(), above.get(), NameOf(place)) != 0) {
      return Fail("link", place);
    }
    return 0;
  }

  UniqueFd MakeFile(const std::string& place, mode_t mode) const {
    const UniqueFd above = MakeAbove(place);
    if (!above.valid()) return UniqueFd();
    return UniqueFd(openat(above.get(), NameOf(place),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  }

  int WriteData(const BuildStep& step) const {
    const int from = std::atoi(step.source.c_str());
    struct stat info;
    if (fstat(from, &info) != 0) return Fail("read for", step.place);
    const UniqueFd to = MakeFile(step.place, step.mode);
    if (!to.valid()) return Fail("create", step.place);
    off_t offset = 0;
    while (offset < info.st_size) {
      const auto left = static_cast<size_t>(info.st_size - offset);
      const ssize_t sent = sendfile(to.get(), from, &offset, left);
      if (sent == 0) errno = EIO;  // it has become shorter
      if (sent <= 0) return Fail("write", step.place);
    }
    return 0;
  }

  int MakeMemory(const std::string& place, const std::string& options) const {
    return MountNew(place, "tmpfs", kMemoryFlags, OptionsForUser(options));
  }

  int MountMemoryAt(const char* target, const std::string& options) const {
    if (mount("tmpfs", target, "tmpfs", kMemoryFlags, OptionsForUser(options).c_str()) == 0) {
      return 0;
    }
    return Fail("mount", target);
  }

  std::string OptionsForUser(const std::string& options) const {
    if (uid_ == 0) return options;
    const std::string id = std::to_string(uid_);
    return options + ",uid=" + id + ",gid=" + id;
  }

  int MountNew(const std::string& place, const char* type, unsigned long flags,
               const std::string& options) const {
    if (!MakeFolder(place)) return Fail("mkdir", place);
    const UniqueFd folder = OpenPlace(root_.get(), Below(place), O_DIRECTORY);
    if (!folder.valid()) return Fail("open", place);
    const std::string target = "/proc/self/fd/" + std::to_string(folder.get());
    if (mount(type, target.c_str(), type, flags, options.c_str()) == 0) return 0;
    return Fail("mount", place);
  }

  // Something to mount over: of its kind, made where it is missing.
  UniqueFd PlaceFor(const UniqueFd& tree, const std::string& place) const {
    struct stat info;
    if (fstat(tree.get(), &info) != 0) return UniqueFd();
    UniqueFd there = OpenPlace(root_.get(), Below(place), 0);
    if (there.valid()) {
      struct stat found;
      if (fstat(there.get(), &found) == 0 && !S_ISLNK(found.st_mode)) return there;
      errno = ELOOP;
      return UniqueFd();
    }
    if (errno != ENOENT) return UniqueFd();
    if (S_ISDIR(info.st_mode) ? !MakeFolder(place) : !MakeFile(place, 0644).valid()) {
      return UniqueFd();
    }
    return OpenPlace(root_.get(), Below(place), 0);
  }

  int Attach(const UniqueFd& tree, const std::string& place, uint64_t attributes_set) const {
    if (!tree.valid()) return Fail("show", place);
    const UniqueFd target = PlaceFor(tree, place);
    if (!target.valid()) return Fail("make", place);
    mount_attr attributes{};
    attributes.attr_set = attributes_set;
    attributes.propagation = MS_PRIVATE;
    if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                      sizeof attributes) != 0 ||
        move_mount(tree.get(), "", target.get(), "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
      return Fail("mount", place);
    }
    return 0;
  }

  const uid_t uid_;
  UniqueFd root_;
};

// While we have all rights: they lie on file systems that are not the user's.
int StackLayers(const RootPlan& plan, std::vector<Source>* sources) {
  const auto& steps = plan.steps;
  bool mounted = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].kind != Kind::kLayers) continue;
    if (!mounted && mount("tmpfs", kStagedParts, "tmpfs", kMemoryFlags, "mode=0755,size=1m") != 0) {
      return Fail("mount", kStagedParts);
    }
    mounted = true;
    const std::string target = std::string(kStagedParts) + "/" + std::to_string(i);
    const int failed = MountLayers(steps[i], (*sources)[i].layers, target, plan.uid);
    if (failed != 0) return failed;
    (*sources)[i].tree = TreeAt(AT_FDCWD, target.c_str());
    if (!(*sources)[i].tree.valid()) return Fail("show", steps[i].place);
  }
  return 0;
}

}  // namespace

int BuildRoot(const RootPlan& plan) {
  std::vector<Source> sources(plan.steps.size());
  // Then bubblewrap builds it, and what is given away must be given all the same.
  if (plan.staging < 0) return GiveFolders(plan.steps, plan.uid, &sources);
  if (const int failed = FindSources(plan, &sources); failed != 0) return failed;
  if (setns(plan.staging, CLONE_NEWNS) != 0 || unshare(CLONE_NEWNS) != 0) {
    return Fail("enter", "staging namespace");
  }
  // Nobody behind us needs them, and bubblewrap would hold them as long as the sandbox lives.
  close(plan.staging);
  if (plan.owner >= 0) close(plan.owner);
  if (const int failed = StackLayers(plan, &sources); failed != 0) return failed;
  Builder builder(plan.uid);
  if (const int failed = builder.MountRoot(); failed != 0) return failed;
  // What is made is the user's from its beginning.
  if (plan.uid != 0) {
    setfsgid(plan.uid);
    setfsuid(plan.uid);
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (const int failed = builder.Take(plan.steps[i], sources[i]); failed != 0) return failed;
  }
  if (!plan.shared_memory.empty()) {
    if (const int failed = builder.MakeDevices(plan.shared_memory); failed != 0) return failed;
  }
  if (const int failed = builder.Seal("/"); failed != 0) return failed;
  setfsuid(getuid());
  setfsgid(getgid());
  return 0;
}

}  // namespace taskmint::sandbox
