// Parts of the kernel that no build, test or Python program needs: the more of it answers, the
// more of it can be broken. Arguments are nonsense wherever success could do harm.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "attack.h"

// Newer than some C libraries; the same on every architecture.
enum {
  kMemfdSecret = 447,
  kSetMempolicyHomeNode = 450,
};

static void TryIoUring(void) {
  struct io_uring_params parameters = {0};
  MustBeDenied("io_uring_setup", syscall(SYS_io_uring_setup, 4, &parameters));
  MustBeDenied("io_uring_enter", syscall(SYS_io_uring_enter, -1, 1, 0, 0, NULL, 0));
  MustBeDenied("io_uring_register", syscall(SYS_io_uring_register, -1, 0, NULL, 0));
}

// Its flags lie in memory, where no filter sees them.
static void TryClone3(void) {
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  static const struct {
    const char* name;
    uint64_t flags;
  } kCases[] = {{"clone3", 0}, {"clone3 with CLONE_NEWUSER", 0x10000000}};
  for (size_t index = 0; index < 2; ++index) {
    arguments.flags = kCases[index].flags;
    const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) _exit(0);
    MustBeDenied(kCases[index].name, child);
  }
}

#ifdef __x86_64__
// The same calls by their numbers of another architecture, which a filter by number mistakes.
static void CallForeign(void) {
  long result = 20;  // getpid of i386
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
  if (result == getpid()) Through("a system call of i386");
  errno = (int)-result;
  MustFail("a system call of i386", -1);
}

static void CallX32(void) {
  const long result = syscall(0x40000000 + SYS_getpid);
  if (result == getpid()) Through("a system call of x32");
  MustFail("a system call of x32", -1);
}

static void TryForeignCalls(void) {
  InChild("int 0x80", CallForeign);
  InChild("x32", CallX32);
}
#else
static void TryForeignCalls(void) { RefusedBy("a foreign call", "this machine has one kind"); }
#endif

static void TryUserFaults(void) {
  MustBeDenied("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
  const int user_mode_only = 1;
  MustBeDenied("userfaultfd of user mode", syscall(SYS_userfaultfd, user_mode_only));
  MustNotOpen("/dev/userfaultfd", O_RDWR);
}

static void TryBpf(void) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 4;
  attributes.max_entries = 1;
  MustBeDenied("bpf map", syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
  const struct bpf_insn program[] = {{.code = 0xb7}, {.code = 0x95}};  // r0 = 0; exit
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insn_cnt = 2;
  attributes.insns = (uint64_t)(uintptr_t)program;
  attributes.license = (uint64_t)(uintptr_t) "GPL";
  MustBeDenied("bpf program", syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
}

static void TryPerformanceEvents(void) {
  struct perf_event_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof attributes;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  MustBeDenied("perf_event_open of oneself",
               syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  MustBeDenied("perf_event_open of PID 1", syscall(SYS_perf_event_open, &attributes, 1, -1, -1, 0));
  MustBeDenied("perf_event_open of a processor",
               syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0));
}

// Keys outlive their processes and are counted for the user.
static void TryKeyrings(void) {
  const int session_ring = -3;
  MustBeDenied("add_key", syscall(SYS_add_key, "user", "taskmint-attack", "x", 1, session_ring));
  MustBeDenied("request_key", syscall(SYS_request_key, "user", "taskmint-attack", NULL, 0));
  const int get_id = 0;
  MustBeDenied("keyctl", syscall(SYS_keyctl, get_id, session_ring, 1));
}

// Characters pushed into a terminal are typed by its user. Upper bits of the request are cut off
// by the kernel, though not by a careless filter.
static void TryTerminalInput(void) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    Refused("a terminal", errno);
    return;
  }
  setsid();
  const int terminal = open(ptsname(master), O_RDWR);
  if (terminal < 0) {
    Refused("a terminal's other end", errno);
    return;
  }
  ioctl(terminal, TIOCSCTTY, 0);
  static const uint64_t kUpper[] = {0, 1ULL << 32, 0xffffffffULL << 32};
  for (size_t index = 0; index < sizeof kUpper / sizeof kUpper[0]; ++index) {
    char what[64];
    char selection[] = {2, 0};
    snprintf(what, sizeof what, "TIOCSTI + %#llx", (unsigned long long)kUpper[index]);
    MustFail(what, syscall(SYS_ioctl, terminal, kUpper[index] | TIOCSTI, "x"));
    snprintf(what, sizeof what, "TIOCLINUX + %#llx", (unsigned long long)kUpper[index]);
    MustFail(what, syscall(SYS_ioctl, terminal, kUpper[index] | TIOCLINUX, selection));
  }
}

static void TryTerminalInputInChild(void) { InChild("terminal input", TryTerminalInput); }

// Execution domains of other systems; the switch for address randomisation is not among them.
static void TryPersonalities(void) {
  const int before = personality(0xffffffff);
  if (personality((unsigned long)before | ADDR_NO_RANDOMIZE) < 0) {
    Refused("personality ADDR_NO_RANDOMIZE, which debuggers may", errno);
  }
  personality((unsigned long)before);
  MustBeDenied("personality of 32 bits", personality(PER_LINUX32));
  MustBeDenied("personality BSD", personality(PER_BSD));
  MustBeDenied("personality SVR4", personality(PER_SVR4));
}

// Pages that the kernel cannot see, and pages moved about the machine's nodes.
static void TryMemoryPlacement(void) {
  MustBeDenied("memfd_secret", syscall(kMemfdSecret, 0));
  void* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int node = 0;
  int status;
  MustBeDenied("move_pages", syscall(SYS_move_pages, 0, 1, &page, &node, &status, 2));
  MustBeDenied("mbind", syscall(SYS_mbind, page, 4096, 0, NULL, 0, 0));
  const unsigned long nodes = 1;
  MustBeDenied("migrate_pages", syscall(SYS_migrate_pages, 0, 2, &nodes, &nodes));
  MustBeDenied("set_mempolicy_home_node", syscall(kSetMempolicyHomeNode, page, 4096, 0, 0));
}

#ifdef __x86_64__
static void TryPorts(void) {
  MustBeDenied("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
  MustBeDenied("iopl", syscall(SYS_iopl, 3));
  char table[64];
  MustBeDenied("modify_ldt", syscall(SYS_modify_ldt, 0, table, sizeof table));
  MustNotOpen("/dev/port", O_RDWR);
}
#else
static void TryPorts(void) { MustNotOpen("/dev/port", O_RDWR); }
#endif

// Watching what others do with files, and old calls that tell of the kernel.
static void TryRelics(void) {
  const unsigned notify_by_id = 0x200;
  MustBeDenied("fanotify_init", syscall(SYS_fanotify_init, notify_by_id, O_RDONLY));
  char kernel_log[16];
  MustBeDenied("syslog, size of the log", syscall(SYS_syslog, 10, NULL, 0));
  MustBeDenied("syslog, the log", syscall(SYS_syslog, 3, kernel_log, sizeof kernel_log));
#ifdef SYS_sysfs
  MustBeDenied("sysfs", syscall(SYS_sysfs, 3));
#endif
#ifdef SYS_uselib
  MustBeDenied("uselib", syscall(SYS_uselib, "/nonexistent"));
#endif
#ifdef SYS__sysctl
  MustBeDenied("_sysctl", syscall(SYS__sysctl, NULL));
#endif
#ifdef SYS_ustat
  char free_space[64];
  MustBeDenied("ustat", syscall(SYS_ustat, 0, free_space));
#endif
  MustBeDenied("lookup_dcookie", syscall(SYS_lookup_dcookie, 0, NULL, 0));
  MustBeDenied("vhangup", syscall(SYS_vhangup));
  MustNotOpen("/dev/kmsg", O_RDONLY);
}

const struct Attack kKernelAttacks[] = {
    {"io_uring", TryIoUring},
    {"clone3", TryClone3},
    {"foreign_calls", TryForeignCalls},
    {"userfaultfd", TryUserFaults},
    {"bpf", TryBpf},
    {"performance_events", TryPerformanceEvents},
    {"keyrings", TryKeyrings},
    {"terminal_input", TryTerminalInputInChild},
    {"personalities", TryPersonalities},
    {"memory_placement", TryMemoryPlacement},
    {"ports", TryPorts},
    {"relics", TryRelics},
    {NULL, NULL},
};
