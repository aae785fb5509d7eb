// The kernel's own files: settings of the machine, and what they tell about it. Settings are opened
// only, never written.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

// A pipe in it would run a program of the host at the next crash.
static void OpenCorePattern(void) {
  static const char* const kPaths[] = {"/proc/sys/kernel/core_pattern",
                                       "/proc/self/root/proc/sys/kernel/core_pattern",
                                       "/proc/1/root/proc/sys/kernel/core_pattern",
                                       "/proc/thread-self/root/proc/sys/kernel/core_pattern"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    MustNotOpen(kPaths[index], O_WRONLY);
  }
  const int folder = open("/proc/sys/kernel", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    MustFail("core_pattern by its folder", openat(folder, "core_pattern", O_WRONLY | O_CLOEXEC));
  }
}

static void OpenKernelPrograms(void) {
  static const char* const kPaths[] = {"/proc/sys/kernel/modprobe",
                                       "/proc/sys/kernel/hotplug",
                                       "/proc/sys/kernel/usermodehelper/bset",
                                       "/proc/sys/fs/binfmt_misc/register",
                                       "/sys/kernel/uevent_helper",
                                       "/proc/sys/kernel/poweroff_cmd",
                                       "/sys/fs/cgroup/release_agent",
                                       "/sys/fs/cgroup/memory/release_agent",
                                       "/sys/kernel/debug/kprobes/list",
                                       "/proc/sys/kernel/core_pipe_limit"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    MustNotOpen(kPaths[index], O_WRONLY);
  }
}

static int settings_seen;

static int OpenSetting(const char* path, const struct stat* info, int kind, struct FTW* place) {
  (void)info;
  (void)place;
  if (kind != FTW_F) return 0;
  ++settings_seen;
  const int file = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  if (file >= 0) Through("open %s to write", path);
  return 0;
}

static void OpenEverySetting(void) {
  // Over the folder's own permissions: what can be opened is what counts.
  if (nftw("/proc/sys", OpenSetting, 16, FTW_PHYS) != 0) {
    Refused("the settings of the kernel", errno);
    return;
  }
  char what[64];
  snprintf(what, sizeof what, "each of %d settings in /proc/sys", settings_seen);
  RefusedBy(what, "EACCES or EROFS");
}

// Opened only; a letter written would act on the machine.
static void OpenSysrq(void) {
  MustNotOpen("/proc/sysrq-trigger", O_WRONLY);
  MustNotOpen("/proc/self/root/proc/sysrq-trigger", O_WRONLY);
  MustNotOpen("/proc/sys/kernel/sysrq", O_WRONLY);
}

static void ReadKernelSecrets(void) {
  static const char* const kPaths[] = {
      "/proc/keys",        "/proc/key-users",    "/proc/kallsyms",    "/proc/config.gz",
      "/proc/timer_list",  "/proc/sched_debug",  "/proc/kcore",       "/proc/kmsg",
      "/proc/kpagecount",  "/proc/kpageflags",   "/proc/kpagecgroup", "/proc/slabinfo",
      "/proc/vmallocinfo", "/proc/pagetypeinfo", "/proc/allocinfo"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    char text[256];
    errno = 0;
    const long size = ReadText(kPaths[index], text, sizeof text);
    if (size > 0) Through("contents of %s", kPaths[index]);
    if (size == 0)
      RefusedBy(kPaths[index], "masked");
    else
      Refused(kPaths[index], errno);
  }
}

static void WriteOtherProcFiles(void) {
  static const char* const kPaths[] = {"/proc/irq/default_smp_affinity",
                                       "/proc/mtrr",
                                       "/proc/scsi/scsi",
                                       "/proc/acpi/wakeup",
                                       "/proc/bus/pci/devices",
                                       "/proc/fb",
                                       "/proc/timer_stats",
                                       "/proc/latency_stats",
                                       "/proc/driver/rtc",
                                       "/proc/dynamic_debug/control"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    MustNotOpen(kPaths[index], O_WRONLY);
  }
}

static void OpenControlGroups(void) {
  static const char* const kPaths[] = {"/sys/fs/cgroup/cgroup.procs",
                                       "/sys/fs/cgroup/memory.max",
                                       "/sys/fs/cgroup/pids.max",
                                       "/sys/fs/cgroup/cgroup.kill",
                                       "/sys/fs/cgroup/pids/cgroup.procs",
                                       "/sys/fs/cgroup/memory/cgroup.procs",
                                       "/sys/fs/cgroup/unified/cgroup.procs",
                                       "/sys/fs/cgroup/unified/cgroup.kill"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    MustNotOpen(kPaths[index], O_WRONLY);
  }
  // A group of the host in here would name other sandboxes.
  char groups[4096];
  if (ReadText("/proc/self/cgroup", groups, sizeof groups) < 0) return;
  if (strstr(groups, "/..") != NULL) Through("control groups above the namespace's root");
  RefusedBy("control groups above the namespace's root", "not named");
}

static void ReadSys(void) {
  static const char* const kPaths[] = {"/sys/kernel/mm/transparent_hugepage/enabled",
                                       "/sys/class/dmi/id/product_uuid",
                                       "/sys/kernel/security/lsm",
                                       "/sys/kernel/debug",
                                       "/sys/kernel/tracing",
                                       "/sys/firmware/efi/efivars",
                                       "/sys/power/state",
                                       "/sys/class/net",
                                       "/sys/block",
                                       "/sys/fs/bpf"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    MustNotOpen(kPaths[index], O_RDONLY);
  }
}

const struct Attack kProcAttacks[] = {
    {"core_pattern", OpenCorePattern},
    {"kernel_programs", OpenKernelPrograms},
    {"proc_sys", OpenEverySetting},
    {"sysrq", OpenSysrq},
    {"kernel_secrets", ReadKernelSecrets},
    {"proc_writes", WriteOtherProcFiles},
    {"control_groups", OpenControlGroups},
    {"sys_files", ReadSys},
    {NULL, NULL},
};
