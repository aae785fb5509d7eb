// What is the machine's: its clock, its name, its modules, its power. Values are the ones that
// were read, or such that the kernel refuses them only after it asked for the right to do it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

static void ChangeClock(void) {
  struct timeval day;
  gettimeofday(&day, NULL);
  MustBeDenied("settimeofday", syscall(SYS_settimeofday, &day, NULL));
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  MustBeDenied("clock_settime", syscall(SYS_clock_settime, CLOCK_REALTIME, &now));
  struct timex discipline;
  memset(&discipline, 0, sizeof discipline);
  // Reading is free to all where no filter is.
  if (syscall(SYS_adjtimex, &discipline) >= 0) {
    discipline.modes = ADJ_TICK;
    MustBeDenied("adjtimex", syscall(SYS_adjtimex, &discipline));
    discipline.modes = ADJ_FREQUENCY;
    MustBeDenied("clock_adjtime", syscall(SYS_clock_adjtime, CLOCK_REALTIME, &discipline));
  } else {
    MustBeDenied("adjtimex", -1);
    MustBeDenied("clock_adjtime", syscall(SYS_clock_adjtime, CLOCK_REALTIME, &discipline));
  }
  MustNotOpen("/dev/rtc0", O_RDWR);
}

static void ChangeNames(void) {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  MustBeDenied("sethostname", sethostname(name, strlen(name)));
  MustBeDenied("setdomainname", setdomainname("", 0));
}

// The magic numbers are wrong: EINVAL would come after the question for the right.
static void Reboot(void) { MustBeDenied("reboot", syscall(SYS_reboot, 1, 2, 3, NULL)); }

static void LoadKernel(void) {
  const unsigned long bad_flags = 0x8000;
  MustBeDenied("kexec_load", syscall(SYS_kexec_load, 0, 1000, NULL, bad_flags));
  MustBeDenied("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, bad_flags));
}

static void LoadModules(void) {
  MustBeDenied("init_module", syscall(SYS_init_module, NULL, 0, ""));
  MustBeDenied("finit_module", syscall(SYS_finit_module, -1, "", 0));
  MustBeDenied("delete_module", syscall(SYS_delete_module, "no_such_module", O_NONBLOCK));
}

static void Swap(void) {
  MustBeDenied("swapon", syscall(SYS_swapon, "/nonexistent", 0));
  MustBeDenied("swapoff", syscall(SYS_swapoff, "/nonexistent"));
}

static void ChangeQuota(void) {
  const int set_info_of_users = (0x800006 << 8);
  MustBeDenied("quotactl", syscall(SYS_quotactl, set_info_of_users, "/dev/nonexistent", 0, NULL));
  MustBeDenied("quotactl_fd", syscall(443, -1, set_info_of_users, 0, NULL));
  MustBeDenied("acct", syscall(SYS_acct, "/nonexistent/accounting"));
}

static void MakeDevice(const char* what, mode_t type, unsigned major, unsigned minor) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/device-%u-%u", major, minor);
  if (mknod(path, type | 0666, makedev(major, minor)) != 0) {
    Refused(what, errno);
    return;
  }
  // A node on a file system without devices is only a name.
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) Through("%s, and it opens", what);
  Refused(what, errno);
  Left("a device node in /tmp");
}

static void MakeDevices(void) {
  MakeDevice("a node of memory", S_IFCHR, 1, 1);
  MakeDevice("a node of /dev/zero", S_IFCHR, 1, 5);
  MakeDevice("a node of a disk", S_IFBLK, 8, 0);
  MakeDevice("a node of a loop device", S_IFBLK, 7, 0);
  MakeDevice("a node of the virtual disk", S_IFBLK, 254, 0);
}

// Opening a watchdog or a snapshot device would already act, so those are not among them.
static void OpenDevices(void) {
  static const char* const kPaths[] = {
      "/dev/mem",          "/dev/kmem",          "/dev/port",    "/dev/kmsg",
      "/dev/sda",          "/dev/vda",           "/dev/nvme0n1", "/dev/loop0",
      "/dev/loop-control", "/dev/fuse",          "/dev/kvm",     "/dev/net/tun",
      "/dev/vhost-net",    "/dev/vhost-vsock",   "/dev/vsock",   "/dev/mapper/control",
      "/dev/uinput",       "/dev/input/event0",  "/dev/console", "/dev/tty0",
      "/dev/tty1",         "/dev/btrfs-control", "/dev/nvidia0", "/dev/dri/renderD128",
      "/dev/userfaultfd",  "/dev/rtc0",          "/dev/hpet",    "/dev/cpu/0/msr",
      "/dev/binder"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    // /dev/console is the sandbox's own output where that is a terminal; reading suffices here.
    MustNotOpen(kPaths[index], O_RDONLY);
  }
}

const struct Attack kMachineAttacks[] = {
    {"clock_change", ChangeClock},
    {"name_change", ChangeNames},
    {"reboot", Reboot},
    {"kernel_load", LoadKernel},
    {"module_load", LoadModules},
    {"swap", Swap},
    {"quota_and_accounting", ChangeQuota},
    {"device_nodes", MakeDevices},
    {"host_devices", OpenDevices},
    {NULL, NULL},
};
