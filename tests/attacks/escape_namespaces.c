// Namespaces in the sandbox: each new one brings capabilities and kernel code within reach.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static const struct {
  const char* name;
  unsigned long flag;
} kNamespaces[] = {
    {"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
    {"network", CLONE_NEWNET},   {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80},
};
static const size_t kNamespaceCount = sizeof kNamespaces / sizeof kNamespaces[0];

static void UnshareUser(void) {
  MustFail("unshare of the user namespace", unshare(CLONE_NEWUSER));
  MustFail("unshare of user, mount and network",
           unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET));
}

static void NestUserNamespace(void) { InChild("unshare", UnshareUser); }

static void UnshareEach(void) {
  for (size_t index = 0; index < kNamespaceCount; ++index) {
    char what[64];
    snprintf(what, sizeof what, "unshare of the %s namespace", kNamespaces[index].name);
    MustFail(what, unshare((int)kNamespaces[index].flag));
  }
}

static void UnshareNamespaces(void) { InChild("unshare", UnshareEach); }

static void CloneNamespaces(void) {
  for (size_t index = 0; index < kNamespaceCount; ++index) {
    // CLONE_NEWTIME is an exit signal to this call.
    if (kNamespaces[index].flag == 0x80) continue;
    char what[64];
    snprintf(what, sizeof what, "clone into a %s namespace", kNamespaces[index].name);
    const long child = syscall(SYS_clone, kNamespaces[index].flag | SIGCHLD, NULL, NULL, NULL, 0);
    if (child == 0) _exit(0);
    MustFail(what, child);
  }
}

// A user namespace first gives the rights for all others: the classic chain.
static void CloneUserThenMount(void) {
  const long child =
      syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
  if (child == 0) _exit(0);
  MustFail("clone into user, mount and pid namespaces", child);
  // The upper half of the flags is cut off by the kernel.
  const long with_upper_bits =
      syscall(SYS_clone, 1UL << 32 | CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
  if (with_upper_bits == 0) _exit(0);
  MustFail("clone with upper bits and CLONE_NEWUSER", with_upper_bits);
}

static void JoinNamespaces(void) {
  static const char* const kNames[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};
  for (size_t index = 0; index < sizeof kNames / sizeof kNames[0]; ++index) {
    for (int own = 0; own < 2; ++own) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%s/ns/%s", own ? "self" : "1", kNames[index]);
      const int space = open(path, O_RDONLY | O_CLOEXEC);
      if (space < 0) {
        Refused(path, errno);
        continue;
      }
      char what[96];
      snprintf(what, sizeof what, "setns %s", path);
      MustFail(what, setns(space, 0));
      close(space);
    }
  }
  const int pid_one = (int)syscall(SYS_pidfd_open, 1, 0);
  if (pid_one >= 0) MustFail("setns by pidfd of PID 1", setns(pid_one, CLONE_NEWNS));
  MustBeDenied("setns of nothing", setns(-1, 0));
}

// Were mapping files writable again, other users' ids could be taken.
static void RewriteMappings(void) {
  static const char* const kPaths[] = {"/proc/self/uid_map", "/proc/self/gid_map",
                                       "/proc/self/projid_map", "/proc/1/uid_map"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    const int file = open(kPaths[index], O_WRONLY | O_CLOEXEC);
    char what[96];
    snprintf(what, sizeof what, "write to %s", kPaths[index]);
    if (file < 0) {
      Refused(what, errno);
      continue;
    }
    MustFail(what, write(file, "0 0 4294967295\n", 15));
    close(file);
  }
}

// Set for good: without them a setuid program would bring rights, and the filter could go.
static void LiftRestrictions(void) {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) Through("no_new_privs is not set");
  MustFail("no_new_privs unset", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  const int disabled = 0;
  MustFail("seccomp switched off", prctl(PR_SET_SECCOMP, disabled, 0, 0, 0));
  char status[8192];
  if (ReadText("/proc/self/status", status, sizeof status) < 0) {
    Refused("the state of the filter", errno);
    return;
  }
  const char* line = strstr(status, "\nSeccomp:\t");
  if (line == NULL || line[10] != '2') Through("no filter is in force");
  RefusedBy("a process without a filter", "Seccomp: 2");
}

const struct Attack kNamespaceAttacks[] = {
    {"nested_user_namespace", NestUserNamespace}, {"unshare_namespaces", UnshareNamespaces},
    {"clone_namespaces", CloneNamespaces},        {"clone_namespace_chain", CloneUserThenMount},
    {"join_namespaces", JoinNamespaces},          {"rewrite_mappings", RewriteMappings},
    {"lift_restrictions", LiftRestrictions},      {NULL, NULL},
};
