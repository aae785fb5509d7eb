// Other processes inside, PID 1 before all: it holds the line to the host.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static void TracePidOne(void) {
  // First the way that stops nothing.
  MustFail("PTRACE_SEIZE of PID 1", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
  MustFail("PTRACE_ATTACH to PID 1", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
}

static void TraceSelf(void) {
  MustBeDenied("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

// A tracer changes the calls of its child after the filter has seen them.
static void TraceChild(void) {
  InChild("PTRACE_TRACEME", TraceSelf);
  const pid_t child = fork();
  if (child == 0) {
    SleepMs(2000);
    _exit(0);
  }
  const long seized = ptrace(PTRACE_SEIZE, child, NULL, NULL);
  const int error = errno;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  errno = error;
  MustBeDenied("PTRACE_SEIZE of a child", seized);
}

static void ReadMemoryOfPidOne(void) {
  char byte;
  const struct iovec mine = {&byte, 1};
  // Where programs are mapped; the check for the right comes before the address.
  const struct iovec theirs = {(void*)0x400000, 1};
  long moved = syscall(SYS_process_vm_readv, 1, &mine, 1, &theirs, 1, 0);
  MustBeDenied("process_vm_readv of PID 1", moved);
  moved = syscall(SYS_process_vm_writev, 1, &mine, 1, &theirs, 1, 0);
  MustBeDenied("process_vm_writev to PID 1", moved);
  moved = syscall(SYS_process_vm_readv, getpid(), &mine, 1, &mine, 1, 0);
  MustBeDenied("process_vm_readv of oneself", moved);
  MustNotOpen("/proc/1/mem", O_RDONLY);
  MustNotOpen("/proc/1/mem", O_RDWR);
}

static void ReadFilesOfPidOne(void) {
  static const char* const kPaths[] = {"/proc/1/environ", "/proc/1/maps",    "/proc/1/smaps",
                                       "/proc/1/auxv",    "/proc/1/syscall", "/proc/1/stack",
                                       "/proc/1/pagemap", "/proc/1/io",      "/proc/1/map_files",
                                       "/proc/1/fdinfo",  "/proc/1/fd",      "/proc/1/clear_refs"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    char text[256];
    char what[128];
    snprintf(what, sizeof what, "contents of %s", kPaths[index]);
    const int fd = open(kPaths[index], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      Refused(what, errno);
      continue;
    }
    // Some open for all and tell nothing.
    const long size = syscall(SYS_getdents64, fd, text, sizeof text);
    const long bytes = size < 0 ? read(fd, text, sizeof text) : size;
    if (bytes > 0) Through("%s", what);
    RefusedBy(what, "empty");
    close(fd);
  }
}

static void ReachRootOfPidOne(void) {
  static const char* const kPaths[] = {"/proc/1/root", "/proc/1/cwd", "/proc/1/exe",
                                       "/proc/1/root/usr", "/proc/1/task/1/root"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    char what[128];
    snprintf(what, sizeof what, "following %s", kPaths[index]);
    MustFail(what, open(kPaths[index], O_PATH | O_CLOEXEC));
  }
}

static void TakeDescriptorsOfPidOne(void) {
  const int pid_one = (int)syscall(SYS_pidfd_open, 1, 0);
  if (pid_one < 0) {
    Refused("pidfd_open of PID 1", errno);
    return;
  }
  for (int fd = 0; fd < 64; ++fd) {
    const long taken = syscall(SYS_pidfd_getfd, pid_one, fd, 0);
    if (taken >= 0) Through("descriptor %d of PID 1", fd);
  }
  MustBeDenied("descriptors of PID 1", -1);
  MustBeDenied("process_madvise of PID 1", syscall(SYS_process_madvise, pid_one, NULL, 0, 20, 0));
}

static void CompareProcesses(void) {
  const int files = 2;
  MustBeDenied("kcmp with PID 1", syscall(SYS_kcmp, getpid(), 1, files, 0, 0));
  MustBeDenied("kcmp with oneself", syscall(SYS_kcmp, getpid(), getpid(), files, 0, 0));
}

// The parent that started this program, and every other process that is not of this program.
static void WriteIntoPeers(void) {
  DIR* folder = opendir("/proc");
  if (folder == NULL) {
    Refused("the list of processes", errno);
    return;
  }
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    const int pid = atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    MustNotOpen(path, O_RDWR);
    for (int fd = 0; fd < 16; ++fd) {
      snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
      const int taken = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
      if (taken >= 0) Through("%s", path);
    }
    snprintf(path, sizeof path, "descriptors of process %d", pid);
    Refused(path, errno);
  }
  closedir(folder);
}

// The host's processes are not there to be seen or signalled.
static void SeeHostProcesses(void) {
  char name[64];
  if (ReadText("/proc/2/comm", name, sizeof name) > 0 && strcmp(name, "kthreadd\n") == 0) {
    Through("the kernel's threads are visible");
  }
  int seen = 0;
  for (int pid = 2; pid < 100000; ++pid) {
    if (pid == getpid() || pid == getppid()) continue;
    // EPERM would say as well that there is one.
    if (kill(pid, 0) == 0 || errno == EPERM) ++seen;
  }
  char what[64];
  snprintf(what, sizeof what, "processes of others (%d seen)", seen);
  if (seen > 16) Through("%s", what);
  RefusedBy(what, "ESRCH");
}

const struct Attack kPeerAttacks[] = {
    {"trace_pid_one", TracePidOne},
    {"trace_child", TraceChild},
    {"memory_of_pid_one", ReadMemoryOfPidOne},
    {"files_of_pid_one", ReadFilesOfPidOne},
    {"root_of_pid_one", ReachRootOfPidOne},
    {"descriptors_of_pid_one", TakeDescriptorsOfPidOne},
    {"compare_processes", CompareProcesses},
    {"peers", WriteIntoPeers},
    {"host_processes", SeeHostProcesses},
    {NULL, NULL},
};
