#include "sandbox/agent/layer_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/agent/failure.h"
#include "sandbox/agent/users.h"

namespace taskmint::sandbox {
namespace {

constexpr unsigned long kQuiet = MS_NOSUID | MS_NODEV;

std::string PathOf(const UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

// For one user or group.
std::string MapOf(uid_t inside, uid_t outside) {
  return std::to_string(inside) + " " + std::to_string(outside) + " 1";
}

// A user namespace that maps one user to another, for mounts; invalid with errno set.
UniqueFd MakeMapping(uid_t from, gid_t from_group, uid_t to) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return UniqueFd();
  const UniqueFd read_end(ready[0]);
  UniqueFd write_end(ready[1]);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return UniqueFd();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const char made = unshare(CLONE_NEWUSER) == 0 ? 1 : 0;
    if (write(write_end.get(), &made, 1) != 1) _exit(1);
    while (true) pause();
  }
  write_end.reset();
  char made = 0;
  UniqueFd space;
  if (read(read_end.get(), &made, 1) == 1 && made == 1) {
    const std::string proc = "/proc/" + std::to_string(child);
    if (WriteText((proc + "/uid_map").c_str(), MapOf(from, to)) &&
        WriteText((proc + "/gid_map").c_str(), MapOf(from_group, to))) {
      space.reset(open((proc + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    }
  }
  const int error = errno;
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  errno = error;
  return space;
}

// A mount of an image that is nowhere yet; invalid with errno set.
UniqueFd MountImage(const UniqueFd& image) {
  const UniqueFd context(fsopen("erofs", FSOPEN_CLOEXEC));
  if (!context.valid() ||
      fsconfig(context.get(), FSCONFIG_SET_STRING, "source", PathOf(image).c_str(), 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return UniqueFd();
  }
  return UniqueFd(fsmount(context.get(), FSMOUNT_CLOEXEC,
                          MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
}

// What is mounted there, read-only and apart from the host's mounts; invalid with errno set.
UniqueFd PrivateCopy(const UniqueFd& folder) {
  UniqueFd copy(open_tree(folder.get(), "",
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  attributes.propagation = MS_PRIVATE;
  if (copy.valid() && mount_setattr(copy.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                                    sizeof attributes) != 0) {
    return UniqueFd();
  }
  return copy;
}

// A layer's root belongs to `uid` from here on.
int HandOver(const UniqueFd& mount, const std::string& path, uid_t uid) {
  struct stat info;
  if (fstat(mount.get(), &info) != 0) return Fail("stat", path);
  const UniqueFd mapping = MakeMapping(info.st_uid, info.st_gid, uid);
  if (!mapping.valid()) return Fail("map the owner of", path);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<__u64>(mapping.get());
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return Fail("map the owner of", path);
  }
  return 0;
}

int MountLayer(const LayerSource& layer, const UniqueFd& source, const std::string& target,
               uid_t uid) {
  if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", target);
  const UniqueFd image = layer.image ? MountImage(source) : UniqueFd();
  const UniqueFd& mount = layer.image ? image : source;
  if (!mount.valid()) return Fail("mount layer", layer.path);
  if (uid != 0) {
    if (const int failed = HandOver(mount, layer.path, uid); failed != 0) return failed;
  }
  if (move_mount(mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return Fail("mount layer", layer.path);
  }
  return 0;
}

// The file system that takes what is written, with its two folders.
int MountUpper(const std::string& options, const std::string& place, uid_t uid) {
  if (mkdir(place.c_str(), 0755) != 0) return Fail("mkdir", place);
  if (mount("tmpfs", place.c_str(), "tmpfs", kQuiet, options.c_str()) != 0) {
    return Fail("mount", options);
  }
  const std::string upper = place + "/upper";
  if (mkdir(upper.c_str(), 0755) != 0 || mkdir((place + "/work").c_str(), 0755) != 0) {
    return Fail("mkdir", upper);
  }
  if (uid != 0 && chown(upper.c_str(), uid, uid) != 0) return Fail("chown", upper);
  return 0;
}

}  // namespace

int OpenLayers(const std::vector<LayerSource>& layers, std::vector<UniqueFd>* opened) {
  for (const LayerSource& layer : layers) {
    const int flags = layer.image ? O_RDONLY : O_PATH | O_DIRECTORY;
    UniqueFd found(open(layer.path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    if (found.valid() && !layer.image) found = PrivateCopy(found);
    if (!found.valid()) return Fail("open", layer.path);
    opened->push_back(std::move(found));
  }
  return 0;
}

int MountLayers(const BuildStep& step, const std::vector<UniqueFd>& opened,
                const std::string& target, uid_t uid) {
  const bool writable = !step.source.empty();
  if (!writable && opened.size() == 1) return MountLayer(step.layers[0], opened[0], target, 0);
  std::string lower;
  for (size_t i = 0; i < opened.size(); ++i) {
    const std::string place = target + "." + std::to_string(i);
    if (const int failed = MountLayer(step.layers[i], opened[i], place, writable ? uid : 0);
        failed != 0) {
      return failed;
    }
    lower.insert(0, i == 0 ? place : place + ":");  // the kernel takes the highest first
  }
  std::string options = "lowerdir=" + lower;
  if (writable) {
    const std::string place = target + ".written";
    if (const int failed = MountUpper(step.source, place, uid); failed != 0) return failed;
    options += ",upperdir=" + place + "/upper,workdir=" + place + "/work";
    // In a user namespace the kernel keeps its marks where users may, and renames no lower folders.
    options += uid == 0 && getuid() != 0 ? ",userxattr" : ",redirect_dir=on";
  }
  if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", target);
  if (mount("overlay", target.c_str(), "overlay", kQuiet | (writable ? 0 : MS_RDONLY),
            options.c_str()) != 0) {
    return Fail("mount overlay", options);
  }
  return 0;
}

}  // namespace taskmint::sandbox
