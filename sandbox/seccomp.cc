#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace taskmint::sandbox {
namespace {

// What no unprivileged build, test or Python program needs.
constexpr const char* kDenied[] = {
    // Other processes, the kernel's insides, tracing.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease",
    "kcmp", "pidfd_getfd", "bpf", "perf_event_open", "userfaultfd", "lookup_dcookie",
    "fanotify_init", "fanotify_mark", "syslog", "acct",
    // Keys: their garbage and their quota are the host's.
    "keyctl", "add_key", "request_key",
    // Mounts, roots, namespaces, handles.
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "unshare", "setns", "open_by_handle_at",
    "name_to_handle_at", "quotactl", "quotactl_fd", "swapon", "swapoff",
    // The machine.
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "create_module", "get_kernel_syms", "query_module", "reboot", "iopl", "ioperm", "modify_ldt",
    "vm86", "vm86old", "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime",
    "clock_adjtime64", "adjtimex", "stime", "sethostname", "setdomainname", "vhangup",
    // Memory placement of the host, and secrets that defeat accounting.
    "mbind", "set_mempolicy_home_node", "migrate_pages", "move_pages", "memfd_secret",
    // Relics.
    "_sysctl", "sysfs", "uselib", "ustat", "nfsservctl"};

// The same, of kernels that this libseccomp may be too old for. Numbers from 424 on are those of
// every architecture: lsm_set_self_attr, open_tree_attr.
constexpr int kDeniedByNumber[] = {460, 467};

// One comparison of one argument. The macros of libseccomp leave a field to the compiler's
// warnings.
scmp_arg_cmp Compare(unsigned argument, scmp_compare how, uint64_t value, uint64_t other = 0) {
  return {argument, how, value, other};
}

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW), seccomp_release) {
    Note(context_ == nullptr ? -ENOMEM : 0);
    Note(seccomp_attr_set(Get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    // bwrap sets no_new_privs itself, and a search tree makes the long list cheap.
    seccomp_attr_set(Get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  }

  template <typename... Comparison>
  void Deny(const char* name, int error, Comparison... comparison) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // this libseccomp does not know it
    DenyNumber(number, error, comparison...);
  }

  template <typename... Comparison>
  void DenyNumber(int number, int error, Comparison... comparison) {
    const int failed = seccomp_rule_add(Get(), SCMP_ACT_ERRNO(static_cast<uint32_t>(error)), number,
                                        sizeof...(comparison), comparison...);
    // Another architecture's call.
    if (failed != -EDOM && failed != -EOPNOTSUPP) Note(failed);
  }

  void Note(int result) {
    if (result < 0 && error_ == 0) error_ = -result;
  }
  int error() const { return error_; }
  scmp_filter_ctx Get() { return context_.get(); }

 private:
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int error_ = 0;
};

void DenySockets(Filter& filter) {
  for (const char* name : {"socket", "socketpair"}) {
    // Allowed: unix (1), inet (2), inet6 (10), netlink (16, protocol 0: routes). Values beyond 32
    // bits are above the last and so denied, though the kernel would cut them.
    filter.Deny(name, EPERM, Compare(0, SCMP_CMP_EQ, 0));
    for (unsigned family = 3; family < 16; ++family) {
      if (family != AF_INET6) filter.Deny(name, EPERM, Compare(0, SCMP_CMP_EQ, family));
    }
    filter.Deny(name, EPERM, Compare(0, SCMP_CMP_GT, AF_NETLINK));
    filter.Deny(name, EPERM, Compare(0, SCMP_CMP_EQ, AF_NETLINK), Compare(2, SCMP_CMP_NE, 0));
    for (unsigned family : {AF_INET, AF_INET6}) {
      for (unsigned type : {SOCK_RAW, SOCK_PACKET}) {
        filter.Deny(name, EPERM, Compare(0, SCMP_CMP_EQ, family),
                    Compare(1, SCMP_CMP_MASKED_EQ, 0xf, type));
      }
    }
  }
}

// Those of the agent, process 1, and of all processes of the user, which is one of them. The kernel
// reads 32 bits of an id.
void DenyPriorities(Filter& filter) {
  constexpr uint64_t kInt = 0xffffffffU;
  for (const char* name :
       {"sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"}) {
    filter.Deny(name, EPERM, Compare(0, SCMP_CMP_MASKED_EQ, kInt, 1));
  }
  filter.Deny("setpriority", EPERM, Compare(0, SCMP_CMP_MASKED_EQ, kInt, PRIO_USER));
  filter.Deny("setpriority", EPERM, Compare(1, SCMP_CMP_MASKED_EQ, kInt, 1));
  constexpr uint64_t kIoPriorityOfUser = 3;  // IOPRIO_WHO_USER
  filter.Deny("ioprio_set", EPERM, Compare(0, SCMP_CMP_MASKED_EQ, kInt, kIoPriorityOfUser));
  filter.Deny("ioprio_set", EPERM, Compare(1, SCMP_CMP_MASKED_EQ, kInt, 1));
}

void AddRules(Filter& filter) {
  for (const char* name : kDenied) filter.Deny(name, EPERM);
  for (const int number : kDeniedByNumber) filter.DenyNumber(number, EPERM);
  // ENOSYS: the C library then uses clone, whose flags can be seen here.
  for (const char* name : {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"}) {
    filter.Deny(name, ENOSYS);
  }
  for (const uint64_t flag :
       {uint64_t{CLONE_NEWNS}, uint64_t{CLONE_NEWCGROUP}, uint64_t{CLONE_NEWUTS},
        uint64_t{CLONE_NEWIPC}, uint64_t{CLONE_NEWUSER}, uint64_t{CLONE_NEWPID},
        uint64_t{CLONE_NEWNET}}) {
    filter.Deny("clone", EPERM, Compare(0, SCMP_CMP_MASKED_EQ, flag, flag));
  }
  DenySockets(filter);
  // Pushing input into a terminal. The kernel reads 32 bits of the request.
  for (const uint64_t request : {uint64_t{TIOCSTI}, uint64_t{TIOCLINUX}}) {
    filter.Deny("ioctl", EPERM, Compare(1, SCMP_CMP_MASKED_EQ, 0xffffffffU, request));
  }
  // Another process's limits (the agent's); one's own, pid 0, are free to lower.
  filter.Deny("prlimit64", EPERM, Compare(0, SCMP_CMP_NE, 0), Compare(2, SCMP_CMP_NE, 0));
  DenyPriorities(filter);
  // Personalities but Linux's own; 0xffffffff asks for the present one. One comparison an argument
  // and rule, so the kinds are listed: the low byte, and the flags above it.
  for (uint64_t bit = 1; bit < 0x100; bit <<= 1) {
    filter.Deny("personality", EPERM, Compare(0, SCMP_CMP_MASKED_EQ, bit | 0x80000000U, bit));
    // With the highest bit it asks for nothing only where all others are set, too.
    filter.Deny("personality", EPERM,
                Compare(0, SCMP_CMP_MASKED_EQ, bit | 0x80000000U, 0x80000000U));
  }
}

}  // namespace

Result<UniqueFd> MakeSeccompFilter() {
  const auto failed = [](int error) {
    return Status(Code::kUnavailable, Boundary::kSandbox,
                  std::string("cannot make the system call filter: ") + std::strerror(error));
  };
  Filter filter;
  AddRules(filter);
  if (filter.error() != 0) return failed(filter.error());
  UniqueFd file(memfd_create("taskmint-seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return failed(errno);
  if (const int error = seccomp_export_bpf(filter.Get(), file.get()); error != 0) {
    return failed(-error);
  }
  ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return file;
}

}  // namespace taskmint::sandbox
