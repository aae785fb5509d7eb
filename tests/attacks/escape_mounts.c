// The tree of files: mounting, changing the root, walking out of it, writing what is read-only.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack.h"

static void MountAndUnmount(void) {
  mkdir("/tmp/point", 0700);
  static const char* const kTypes[] = {"tmpfs", "proc", "sysfs", "cgroup2", "overlay"};
  for (size_t index = 0; index < sizeof kTypes / sizeof kTypes[0]; ++index) {
    char what[64];
    snprintf(what, sizeof what, "mount of %s", kTypes[index]);
    const int result = mount("none", "/tmp/point", kTypes[index], 0, "lowerdir=/usr:/tmp");
    if (result == 0) umount2("/tmp/point", MNT_DETACH);
    MustFail(what, result);
  }
  MustFail("bind mount", mount("/proc", "/tmp/point", NULL, MS_BIND | MS_REC, NULL));
  MustFail("root made writable", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
  MustFail("/usr made writable", mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL));
  MustFail("mounts made shared", mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL));
  static const char* const kCovers[] = {
      "/proc/sys", "/proc/sysrq-trigger", "/proc/kallsyms", "/usr", "/dev/shm", "/tmp", "/proc",
      "/"};
  for (size_t index = 0; index < sizeof kCovers / sizeof kCovers[0]; ++index) {
    char what[64];
    snprintf(what, sizeof what, "unmount of %s", kCovers[index]);
    MustFail(what, umount2(kCovers[index], MNT_DETACH));
  }
}

static void MountByDescriptors(void) {
  MustBeDenied("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  MustBeDenied("fsopen of nothing", syscall(SYS_fsopen, NULL, 0));
  MustBeDenied("fsconfig", syscall(SYS_fsconfig, -1, 0, NULL, NULL, 0));
  MustBeDenied("fsmount", syscall(SYS_fsmount, -1, 0, 0));
  MustBeDenied("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0));
  MustBeDenied("open_tree, a copy", syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE));
  MustBeDenied("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 0));
  MustBeDenied("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/usr", AT_FDCWD, "/tmp", 0));
  const int mount_setattr_number = 442;
  MustBeDenied("mount_setattr", syscall(mount_setattr_number, AT_FDCWD, "/", 0, NULL, 0));
}

// Newer than the lists of names that libraries have.
static void MountByNewCalls(void) {
  const int open_tree_attr_number = 467;
  MustBeDenied("open_tree_attr, a copy",
               syscall(open_tree_attr_number, AT_FDCWD, "/", OPEN_TREE_CLONE, NULL, 0));
  MustBeDenied("open_tree_attr", syscall(open_tree_attr_number, AT_FDCWD, "/", 0, NULL, 0));
}

static void ChangeRoot(void) {
  mkdir("/tmp/root", 0700);
  MustFail("chroot", chroot("/tmp/root"));
  MustFail("pivot_root", syscall(SYS_pivot_root, "/tmp/root", "/tmp/root"));
  MustFail("pivot_root onto itself", syscall(SYS_pivot_root, ".", "."));
}

// The classic way out: a folder held open while the root moves below it.
static void LeaveByHeldFolder(void) {
  const int held = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (held < 0) {
    Refused("the root folder", errno);
    return;
  }
  mkdir("/tmp/cell", 0700);
  const bool moved = chroot("/tmp/cell") == 0;
  const int error = errno;
  if (moved) Through("chroot, the first step out");
  Refused("chroot, the first step out", error);
  // Without it: upwards from every folder, and past the root by "..".
  struct stat root, above;
  if (fchdir(held) != 0 || fstat(held, &root) != 0) return;
  for (int step = 0; step < 64 && chdir("..") == 0; ++step) {
  }
  if (stat(".", &above) == 0 && (above.st_ino != root.st_ino || above.st_dev != root.st_dev)) {
    Through("a folder above the root");
  }
  RefusedBy("a folder above the root", "the same folder");
}

struct Handle {
  unsigned bytes;
  int type;
  unsigned char data[128];
};

// A handle names a file by its number, past all mounts and roots: here the root of the disk.
static void OpenByHandle(void) {
  struct Handle handle = {.bytes = sizeof handle.data};
  int mount_number;
  MustBeDenied("name_to_handle_at",
               syscall(SYS_name_to_handle_at, AT_FDCWD, "/usr", &handle, &mount_number, 0));
  const int anchor = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct Handle root_of_disk = {.bytes = 8, .type = 1, .data = {2}};
  MustBeDenied("open_by_handle_at",
               syscall(SYS_open_by_handle_at, anchor, &root_of_disk, O_RDONLY));
}

static void WriteBelow(const char* folder) {
  char path[512];
  snprintf(path, sizeof path, "%s/taskmint-attack", folder);
  const int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file >= 0) {
    unlink(path);
    Through("a new file in %s", folder);
  }
  Refused(path, errno);
  if (mkdir(path, 0700) == 0) {
    rmdir(path);
    Through("a new folder in %s", folder);
  }
}

static void WriteReadOnlyRoot(void) {
  static const char* const kFolders[] = {"/",     "/usr",  "/usr/bin",   "/usr/local/bin",
                                         "/bin",  "/lib",  "/usr/lib",   "/etc",
                                         "/sbx",  "/dev",  "/etc/ssl",   "/usr/lib/python3",
                                         "/proc", "/run",  "/dev/pts",   "/var/tmp",
                                         "/home", "/root", "/usr/share", "/sys"};
  for (size_t index = 0; index < sizeof kFolders / sizeof kFolders[0]; ++index) {
    WriteBelow(kFolders[index]);
  }
  static const char* const kFiles[] = {"/usr/bin/env", "/usr/bin/python3", "/etc/passwd",
                                       "/etc/group",   "/etc/hosts",       "/etc/ld.so.cache",
                                       "/sbx/agent",   "/etc/gitconfig",   "/etc/nsswitch.conf"};
  for (size_t index = 0; index < sizeof kFiles / sizeof kFiles[0]; ++index) {
    struct stat info;
    char what[128];
    MustNotOpen(kFiles[index], O_WRONLY);
    if (stat(kFiles[index], &info) != 0) continue;
    snprintf(what, sizeof what, "mode of %s", kFiles[index]);
    MustFail(what, chmod(kFiles[index], info.st_mode & 07777));
    snprintf(what, sizeof what, "time of %s", kFiles[index]);
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    MustFail(what, utimensat(AT_FDCWD, kFiles[index], times, 0));
  }
  MustFail("hard link to a host file", link("/usr/bin/env", "/tmp/env"));
  // Back at once where it is allowed.
  static const char kLicence[] = "/usr/share/common-licenses/BSD";
  static const char kMoved[] = "/usr/share/common-licenses/taskmint-attack";
  const int moved = rename(kLicence, kMoved);
  const int error = errno;
  if (moved == 0) rename(kMoved, kLicence);
  errno = error;
  MustFail("rename in /usr", moved);
}

// Loaded by every program, also of the grader, were it there.
static void PlantPreload(void) {
  static const char* const kPaths[] = {
      "/etc/ld.so.preload",       "/etc/ld.so.conf",  "/etc/profile",
      "/etc/bash.bashrc",         "/etc/environment", "/usr/local/bin/python3",
      "/usr/local/lib/libc.so.6", "/etc/gitconfig"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    const bool was_there = access(kPaths[index], F_OK) == 0;
    const int file = open(kPaths[index], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (file >= 0) {
      if (!was_there) unlink(kPaths[index]);
      Through("%s can be planted", kPaths[index]);
    }
    Refused(kPaths[index], errno);
  }
  static const char* const kHome[] = {"/tmp/.bashrc", "/tmp/.profile", "/tmp/.gitconfig",
                                      "/tmp/.pypirc", "/tmp/.ssh-config"};
  for (size_t index = 0; index < sizeof kHome / sizeof kHome[0]; ++index) {
    const int file = open(kHome[index], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (file < 0) continue;
    if (write(file, "[core]\n\tpager = touch /tmp/taskmint-attack-ran\n", 46) > 0) close(file);
  }
  Left("start files in /tmp, which is HOME, that would make /tmp/taskmint-attack-ran");
}

const struct Attack kMountAttacks[] = {
    {"mount", MountAndUnmount},
    {"mount_by_descriptor", MountByDescriptors},
    {"mount_by_new_calls", MountByNewCalls},
    {"change_root", ChangeRoot},
    {"chroot_and_fchdir", LeaveByHeldFolder},
    {"open_by_handle", OpenByHandle},
    {"read_only_root", WriteReadOnlyRoot},
    {"preload_planted", PlantPreload},
    {NULL, NULL},
};
