// Being someone else: ids, capabilities, files that bring rights.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attack.h"

// The host's root owns /usr. Where that owner and this user are one, the mapping leads to root.
static void LookForRoot(void) {
  static const char* const kPaths[] = {"/usr", "/usr/bin", "/usr/lib", "/usr/bin/env"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    struct stat info;
    if (stat(kPaths[index], &info) != 0) continue;
    if (info.st_uid == geteuid()) Through("%s is this user's: root of the host", kPaths[index]);
    if (info.st_gid == getegid()) Through("%s is this group's: root of the host", kPaths[index]);
  }
  RefusedBy("being the owner of /usr", "another user");
  gid_t groups[64];
  const int count = getgroups(64, groups);
  int kept = 0;
  for (int index = 0; index < count; ++index) {
    if (groups[index] != getegid()) ++kept;
  }
  // An ordinary user has no right to give them up, so this is for the host to judge.
  char what[64];
  snprintf(what, sizeof what, "%d groups of the host", kept);
  if (kept > 0) Left(what);
}

static void ChangeUser(void) {
  // 65534 is the overflow user, mapped nowhere.
  static const uid_t kIds[] = {0, 1, 33, 1000, 65534, 1001};
  for (size_t index = 0; index < sizeof kIds / sizeof kIds[0]; ++index) {
    const uid_t id = kIds[index];
    if (id == getuid() || id == getgid()) continue;
    char what[64];
    snprintf(what, sizeof what, "user %u", id);
    MustFail(what, setresuid(id, id, id));
    snprintf(what, sizeof what, "group %u", id);
    MustFail(what, setresgid(id, id, id));
    snprintf(what, sizeof what, "supplementary group %u", id);
    MustFail(what, setgroups(1, &id));
    setfsuid(id);
    if ((uid_t)setfsuid((uid_t)-1) == id) Through("file system user %u", id);
  }
  const gid_t none = 0;
  MustFail("groups dropped, which may bring rights", setgroups(0, &none));
}

static void ChangeOwner(void) {
  const int file = open("/tmp/owned", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    Refused("a file", errno);
    return;
  }
  static const uid_t kIds[] = {0, 1, 1001, 65534};
  for (size_t index = 0; index < sizeof kIds / sizeof kIds[0]; ++index) {
    if (kIds[index] == getuid()) continue;
    char what[64];
    snprintf(what, sizeof what, "owner %u of a file", kIds[index]);
    MustFail(what, fchown(file, kIds[index], (gid_t)-1));
    snprintf(what, sizeof what, "group %u of a file", kIds[index]);
    MustFail(what, fchown(file, (uid_t)-1, kIds[index]));
  }
}

static void TakeCapabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) == 0) {
    if (sets[0].effective != 0 || sets[1].effective != 0 || sets[0].permitted != 0 ||
        sets[1].permitted != 0 || sets[0].inheritable != 0) {
      Through("capabilities %#x", sets[0].permitted | sets[0].effective);
    }
    RefusedBy("capabilities at the start", "none");
  }
  for (int capability = 0; capability <= 40; ++capability) {
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) {
      Through("capability %d in the bounding set", capability);
    }
  }
  RefusedBy("capabilities in the bounding set", "none");
  for (int index = 0; index < 2; ++index) {
    sets[index].effective = sets[index].permitted = sets[index].inheritable = 0xffffffff;
  }
  MustFail("all capabilities", syscall(SYS_capset, &header, sets));
  MustFail("an ambient capability", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
  MustFail("other security bits", prctl(PR_SET_SECUREBITS, 0x2f, 0, 0, 0));
}

// The user that a running program has, also when it is dead and not yet waited for.
static uid_t EffectiveUser(pid_t pid) {
  char path[64], status[4096];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  unsigned real, effective;
  const char* line = NULL;
  if (ReadText(path, status, sizeof status) > 0) line = strstr(status, "\nUid:");
  if (line == NULL || sscanf(line, "\nUid: %u %u", &real, &effective) != 2) return geteuid();
  return effective;
}

static void RunAs(const char* path) {
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
    execl(path, path, "--help", NULL);
    _exit(0);
  }
  if (child < 0) {
    Refused(path, errno);
    return;
  }
  bool other = false;
  for (int tries = 0; tries < 200 && !other; ++tries) {
    other = EffectiveUser(child) != geteuid();
    siginfo_t info = {0};
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT | WNOHANG);
    if (info.si_pid == child) break;
    SleepMs(1);
  }
  other = other || EffectiveUser(child) != geteuid();
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  if (other) Through("another user by %s", path);
  RefusedBy(path, "runs as this user");
}

// Programs of the host that run as their owner.
static void RunSetuidPrograms(void) {
  static const char* const kFolders[] = {"/usr/bin", "/usr/sbin", "/usr/libexec",
                                         "/usr/lib/openssh", "/usr/lib/dbus-1.0"};
  int found = 0;
  for (size_t index = 0; index < sizeof kFolders / sizeof kFolders[0]; ++index) {
    DIR* folder = opendir(kFolders[index]);
    if (folder == NULL) continue;
    for (struct dirent* entry; (entry = readdir(folder)) != NULL && found < 12;) {
      char path[512];
      struct stat info;
      snprintf(path, sizeof path, "%s/%.255s", kFolders[index], entry->d_name);
      if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode)) continue;
      if ((info.st_mode & S_ISUID) == 0 || (info.st_mode & S_IXOTH) == 0) continue;
      ++found;
      RunAs(path);
    }
    closedir(folder);
  }
  char what[64];
  snprintf(what, sizeof what, "%d setuid programs of the host", found);
  RefusedBy(what, "no other user");
}

// A file with such a mode that is copied out by root is a door on the host.
static void LeaveSetuidFiles(void) {
  static const mode_t kModes[] = {04755, 02755, 06777, 01777};
  for (size_t index = 0; index < sizeof kModes / sizeof kModes[0]; ++index) {
    char path[64];
    snprintf(path, sizeof path, "setuid-%zu", index);
    const int file = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0700);
    if (file < 0 || write(file, "#!/bin/sh\nid\n", 13) < 0) {
      Refused("a program", errno);
      return;
    }
    fchmod(file, kModes[index]);
    // What a file capability looks like: revision 2, effective, all bits.
    const unsigned char all[20] = {1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff};
    MustFail("capabilities of a file", fsetxattr(file, "security.capability", all, sizeof all, 0));
    close(file);
  }
  Left("setuid, setgid and sticky files in the work folder");
}

const struct Attack kIdentityAttacks[] = {
    {"host_root", LookForRoot},
    {"change_user", ChangeUser},
    {"change_owner", ChangeOwner},
    {"capabilities", TakeCapabilities},
    {"setuid_programs", RunSetuidPrograms},
    {"setuid_files_left", LeaveSetuidFiles},
    {NULL, NULL},
};
