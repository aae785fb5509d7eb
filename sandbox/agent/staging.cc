#include "sandbox/agent/staging.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "sandbox/agent/failure.h"
#include "sandbox/agent/users.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

constexpr char kNewRoot[] = "/tmp";

// All users of this namespace, each as itself.
std::string IdentityMap(const char* map_path) {
  std::string all;
  FILE* map = std::fopen(map_path, "re");
  if (map == nullptr) return all;
  unsigned inside = 0, outside = 0, count = 0;
  while (std::fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) {
    const std::string first = std::to_string(inside);
    all.append(first).append(" ").append(first).append(" ").append(std::to_string(count));
    all.append("\n");
  }
  std::fclose(map);
  return all;
}

std::string OneMap(uint32_t id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; }

// Root needs somebody outside to map more users than itself: the child goes on in the namespace,
// and this process waits for its end. 0 in the child, else what it ended with, plus 256.
int ForkIntoUserNamespace() {
  int made[2], mapped[2];
  if (pipe2(made, O_CLOEXEC) != 0 || pipe2(mapped, O_CLOEXEC) != 0) return 256 + Fail("pipe", "");
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return 256 + Fail("fork", "");
  char byte = 0;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(made[0]);
    close(mapped[1]);
    if (unshare(CLONE_NEWUSER) != 0) _exit(Fail("unshare", "user namespace"));
    if (write(made[1], "x", 1) != 1 || read(mapped[0], &byte, 1) != 1) {
      _exit(1);  // the parent has said why
    }
    return 0;
  }
  close(made[1]);
  const std::string proc = "/proc/" + std::to_string(child);
  if (read(made[0], &byte, 1) == 1) {
    if (!WriteText((proc + "/uid_map").c_str(), IdentityMap("/proc/self/uid_map")) ||
        !WriteText((proc + "/gid_map").c_str(), IdentityMap("/proc/self/gid_map"))) {
      Fail("map", "user namespace");
    } else if (write(mapped[1], "x", 1) != 1) {
      Fail("map", "user namespace");
    }
  }
  close(mapped[1]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return 256 + (WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int EnterOwnUserNamespace() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER) != 0) return Fail("unshare", "user namespace");
  if (!WriteText("/proc/self/setgroups", "deny") || !WriteText("/proc/self/uid_map", OneMap(uid)) ||
      !WriteText("/proc/self/gid_map", OneMap(gid))) {
    return Fail("map", "user namespace");
  }
  return 0;
}

std::string InNewRoot(const std::string& path) { return kNewRoot + path; }

int Bind(const std::string& path) {
  const std::string target = InNewRoot(path);
  if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", path);
  if (mount(path.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return Fail("bind", path);
  }
  return 0;
}

// One by one: where a container has bound them over empty files, a bind of /dev leaves them out.
int ShowDevices() {
  if (mkdir(InNewRoot("/dev").c_str(), 0755) != 0) return Fail("mkdir", "/dev");
  for (const char* device : kStagedDevices) {
    const std::string target = InNewRoot(device);
    struct stat info;
    if (stat(device, &info) != 0) return Fail("find", device);
    if (!S_ISCHR(info.st_mode)) {
      errno = ENODEV;
      return Fail("find", device);
    }
    const UniqueFd file(open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.valid() || mount(device, target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return Fail("bind", device);
    }
  }
  return 0;
}

int Copy(const char* path, const std::string& target, mode_t mode) {
  const UniqueFd from(open(path, O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!from.valid() || fstat(from.get(), &info) != 0) return Fail("open", path);
  const UniqueFd to(open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!to.valid()) return Fail("create", target);
  for (off_t left = info.st_size; left > 0;) {
    const ssize_t sent = sendfile(to.get(), from.get(), nullptr, static_cast<size_t>(left));
    if (sent <= 0) return Fail("copy", path);
    left -= sent;
  }
  return 0;
}

// /bin, /lib, ... beside /usr: links where they are merged with it.
int ShowTop(const char* path) {
  std::array<char, 4096> target;
  const ssize_t size = readlink(path, target.data(), target.size() - 1);
  if (size > 0) {
    target[static_cast<size_t>(size)] = '\0';
    if (symlink(target.data(), InNewRoot(path).c_str()) != 0) return Fail("link", path);
    return 0;
  }
  struct stat info;
  if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return 0;
  return Bind(path);
}

int Fill() {
  if (const int failed = Bind("/usr"); failed != 0) return failed;
  for (const char* path : kStagedTops) {
    if (const int failed = ShowTop(path); failed != 0) return failed;
  }
  if (const int failed = ShowDevices(); failed != 0) return failed;
  if (const int failed = Bind("/proc"); failed != 0) return failed;
  if (mkdir(InNewRoot("/etc").c_str(), 0755) != 0) return Fail("mkdir", "/etc");
  if (access("/etc/ld.so.cache", R_OK) == 0) {
    const int failed = Copy("/etc/ld.so.cache", InNewRoot("/etc/ld.so.cache"), 0444);
    if (failed != 0) return failed;
  }
  struct stat info;
  if (stat("/etc/alternatives", &info) == 0 && S_ISDIR(info.st_mode)) {
    if (const int failed = Bind("/etc/alternatives"); failed != 0) return failed;
  }
  const int failed = Copy("/proc/self/exe", InNewRoot(kStagedAgent), 0555);
  if (failed != 0) return failed;
  for (const char* place : {kStagedNothing, kStagedRoot, kStagedParts}) {
    if (mkdir(InNewRoot(place).c_str(), 0755) != 0) return Fail("mkdir", place);
  }
  return 0;
}

// The new root has a file system of its own, lies at /tmp, and becomes the only one.
int MakeMounts() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Fail("private", "/");
  constexpr unsigned long kQuiet = MS_NOSUID | MS_NODEV;
  if (mount("tmpfs", kNewRoot, "tmpfs", kQuiet, "mode=0755,size=16m,nr_inodes=1000") != 0) {
    return Fail("mount", kNewRoot);
  }
  if (const int failed = Fill(); failed != 0) return failed;
  if (chdir(kNewRoot) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return Fail("change to", "the staging root");
  }
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kQuiet, nullptr) != 0) {
    return Fail("seal", "the staging root");
  }
  return 0;
}

int SendNamespaces(int socket, bool has_users) {
  const UniqueFd mounts(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  const UniqueFd users(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  if (!mounts.valid() || !users.valid()) return Fail("open", "namespaces");
  const int fds[2] = {mounts.get(), users.get()};
  const size_t size = has_users ? sizeof fds : sizeof fds[0];
  char byte = 'x';
  iovec part{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(header), fds, size);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) return Fail("send", "namespaces");
  return 0;
}

}  // namespace

int MakeStaging(int socket) {
  umask(022);
  bool has_users = getuid() != 0;
  if (has_users) {
    if (const int failed = EnterOwnUserNamespace(); failed != 0) return failed;
  }
  if (unshare(CLONE_NEWNS) != 0) {
    if (has_users || errno != EPERM) return Fail("unshare", "mount namespace");
    has_users = true;
    if (const int ended = ForkIntoUserNamespace(); ended != 0) return ended - 256;
    if (unshare(CLONE_NEWNS) != 0) return Fail("unshare", "mount namespace");
  }
  if (const int failed = MakeMounts(); failed != 0) return failed;
  return SendNamespaces(socket, has_users);
}

}  // namespace taskmint::sandbox
