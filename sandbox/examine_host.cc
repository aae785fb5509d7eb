// What this machine can do, and how to mend the rest.
#include <unistd.h>

#include <fstream>

#include "proto/base/clock.h"
#include "proto/base/utf8.h"
#include "sandbox/bubblewrap.h"
#include "sandbox/cgroup.h"
#include "sandbox/layer_store.h"
#include "sandbox/process.h"
#include "sandbox/python_applications.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kMemoryBytesAdvised = int64_t{4} << 30;

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string FirstLineOf(const Result<std::string>& output) {
  return output.ok() ? output->substr(0, output->find('\n')) : std::string();
}

Finding ExamineTool(const std::string& name, const std::string& path, const std::string& package) {
  Finding finding;
  finding.name = name;
  const Result<std::string> version = OutputOf({path, "--version"}, 10'000);
  finding.ok = version.ok();
  finding.detail = version.ok() ? path + ", " + FirstLineOf(version) : path + " is missing";
  if (!finding.ok) finding.mend = "apt-get install " + package;
  return finding;
}

// The settings that forbid user namespaces to ordinary users, each with its mend.
Finding ExamineUserNamespaces(const Status& opened) {
  Finding finding;
  finding.name = "user namespaces";
  finding.ok = opened.ok();
  if (opened.ok()) {
    finding.detail = "work for ordinary users";
    return finding;
  }
  finding.detail = opened.message();
  if (FirstLine("/proc/sys/user/max_user_namespaces") == "0") {
    finding.detail = "user.max_user_namespaces is 0";
    finding.mend = "sysctl -w user.max_user_namespaces=15000";
  } else if (FirstLine("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    finding.detail = "kernel.unprivileged_userns_clone is 0";
    finding.mend = "sysctl -w kernel.unprivileged_userns_clone=1";
  } else if (FirstLine("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    finding.detail = "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)";
    finding.mend =
        "let bubblewrap make them: printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile "
        "bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n' > /etc/apparmor.d/bwrap && "
        "apparmor_parser -r /etc/apparmor.d/bwrap (or, for all programs: sysctl -w "
        "kernel.apparmor_restrict_unprivileged_userns=0)";
  } else {
    finding.mend =
        "inside Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined; in Kubernetes: securityContext with "
        "seccompProfile and appArmorProfile Unconfined and procMount Unmasked";
  }
  return finding;
}

Finding ExamineProc(const SandboxHost* host) {
  Finding finding;
  finding.name = "own /proc";
  if (host == nullptr) {
    finding.ok = true;
    finding.detail = "could not be tried: no sandbox opens";
    return finding;
  }
  finding.ok = host->MissingWalls().empty();
  finding.detail = finding.ok ? "each sandbox has one"
                              : "this container hides parts of its own, so that none can be made";
  if (finding.ok) return finding;
  finding.mend =
      "start the container with --security-opt systempaths=unconfined (Docker), --security-opt "
      "unmask=ALL (Podman) or, in Kubernetes, spec.hostUsers: false and securityContext.procMount: "
      "Unmasked; or say --sandbox-weak to let sandboxes see the processes of the container";
  return finding;
}

Finding ExamineSeccomp(Sandbox* sandbox) {
  Finding finding;
  finding.name = "system call filter";
  finding.mend = "use a kernel with CONFIG_SECCOMP_FILTER";
  if (sandbox == nullptr) {
    finding.detail = "could not be tried: no sandbox opens";
    finding.ok = ::access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
  } else {
    Command command;
    command.argv = {"grep", "-E", "^(Seccomp|NoNewPrivs):", "/proc/self/status"};
    command.wall_ms_max = 10'000;
    const Result<CommandResult> result = sandbox->Run(command, {});
    finding.ok = result.ok() && result->output.find("Seccomp:\t2") != std::string::npos &&
                 result->output.find("NoNewPrivs:\t1") != std::string::npos;
    finding.detail = finding.ok ? "in force, with no_new_privs" : "is not in force inside";
  }
  if (finding.ok) finding.mend.clear();
  return finding;
}

// What a Python program prints inside; empty where it cannot be run.
std::string Inside(Sandbox* sandbox, const std::string& program) {
  if (sandbox == nullptr) return "";
  Command command;
  command.argv = {"python3", "-I", "-c", program};
  command.wall_ms_max = 10'000;
  const Result<CommandResult> result = sandbox->Run(command, {});
  return result.ok() ? result->output : "";
}

Finding ExamineSecondWall(Sandbox* sandbox) {
  Finding finding;
  finding.name = "second wall";
  finding.ok = true;  // not needed: the first ones stand
  // The kernel stacks sixteen sets of rules, and says E2BIG to one more.
  const std::string output =
      Inside(sandbox,
             "import ctypes\n"
             "c = ctypes.CDLL(None, use_errno=True)\n"
             "a = (ctypes.c_uint64 * 1)(1 << 6)\n"
             "f = c.syscall(444, a, 8, 0)\n"
             "n = 0\n"
             "while f >= 0 and n < 99 and c.syscall(446, f, 0) == 0: n += 1\n"
             "print(n)\n");
  finding.detail = output == "15\n" ? "in force behind namespaces and filter (Landlock)"
                                    : "none: this kernel has no Landlock that can be used";
  return finding;
}

Finding ExamineClocks(Sandbox* sandbox) {
  Finding finding;
  finding.name = "clocks inside";
  finding.ok = true;
  const std::string output = Inside(sandbox, "import time\nprint(int(time.monotonic()))\n");
  constexpr int kSoonAfterStart = 200;
  const bool fixed = !output.empty() && std::atoi(output.c_str()) < kSoonAfterStart;
  finding.detail = fixed ? "begin alike in each sandbox (but for the wall clock)"
                         : "are the machine's: no time namespace can be made here";
  return finding;
}

Finding ExamineFileLimit(Sandbox* sandbox) {
  Finding finding;
  finding.name = "limit of files";
  finding.ok = true;  // not needed: the kernel has one, too
  finding.detail = "could not be tried: no sandbox opens";
  if (sandbox == nullptr) return finding;
  Command command;
  command.argv = {"stat", "-f", "-c", "%c", "/tmp"};
  command.wall_ms_max = 10'000;
  const Result<CommandResult> result = sandbox->Run(command, {});
  const bool ours = result.ok() && result->output == std::to_string(Limits().inodes_max) + "\n";
  finding.detail = "in force in each file system";
  if (!ours) {
    const auto parts = MakeHostParts({}, true);
    finding.detail = "the kernel's default alone: only bubblewrap may mount here (" +
                     (parts.ok() ? (*parts)->abilities.stage_refusal : "unknown why") + ")";
  }
  return finding;
}

Finding ExamineGroups() {
  Finding finding;
  finding.name = "control groups";
  // Not needed: without them each process is limited, instead of all together.
  finding.ok = true;
  const CgroupHome home = FindCgroupHome();
  finding.detail = home.detail;
  if (home.kind != CgroupHome::Kind::kNone) return finding;
  finding.detail += "; memory is limited for each process, not for all together";
  if (::access("/run/systemd/system", F_OK) == 0 && ::geteuid() != 0) {
    finding.detail += " (start it by: systemd-run --user --scope -p Delegate=yes taskmint ...)";
  } else if (::access("/.dockerenv", F_OK) == 0 || ::getenv("KUBERNETES_SERVICE_HOST") != nullptr) {
    finding.detail +=
        " (Docker: --privileged --cgroupns private; Kubernetes: securityContext.privileged, which "
        "mounts them to be written to)";
  }
  return finding;
}

Finding ExamineUser() {
  Finding finding;
  finding.name = "sandbox user";
  const Result<Slot> slot = Slot::Take();
  finding.ok = slot.ok();
  if (!slot.ok()) {
    finding.detail = slot.status().message();
    finding.mend = "close sandboxes that other programs hold open";
  } else if (slot->uid() == 0) {
    finding.detail = "sandboxes run as you, user " + std::to_string(::geteuid());
  } else {
    finding.detail = "sandboxes run as users of their own from " + std::to_string(slot->uid());
  }
  return finding;
}

Finding ExamineMemory() {
  Finding finding;
  finding.name = "memory";
  std::ifstream file("/proc/meminfo");
  int64_t available_kib = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MemAvailable:")) available_kib = std::atoll(line.c_str() + 13);
  }
  finding.ok = available_kib * 1024 >= kMemoryBytesAdvised;
  finding.detail = std::to_string(available_kib / 1024) + " MiB available; work folders lie there";
  if (!finding.ok) finding.mend = "run fewer jobs at once (--jobs), or free memory: 4 GiB a job";
  return finding;
}

}  // namespace

std::vector<Finding> ExamineHost() {
  std::vector<Finding> findings;
  const std::string bwrap = FindBubblewrap();
  findings.push_back(
      ExamineTool("bubblewrap", bwrap.empty() ? "/usr/bin/bwrap" : bwrap, "bubblewrap"));
  std::unique_ptr<Sandbox> sandbox;
  Status opened;
  int64_t open_ms = 0;
  const Result<std::unique_ptr<SandboxHost>> host = MakeBubblewrapHost({.weak = true});
  if (host.ok()) {
    (void)PythonApplicationsOfHost();  // looked for once a process, and no part of an opening
    const SystemClock clock;
    const int64_t begin_ms = clock.MonotonicMs();
    Result<std::unique_ptr<Sandbox>> result = (*host)->Open(SandboxSpec(), {});
    open_ms = clock.MonotonicMs() - begin_ms;
    opened = result.status();
    if (result.ok()) sandbox = std::move(*result);
  } else {
    opened = host.status();
  }
  findings.push_back(ExamineUserNamespaces(opened));
  findings.push_back(ExamineProc(opened.ok() ? host->get() : nullptr));
  findings.push_back(
      {"sandbox", opened.ok(),
       opened.ok() ? "opens in " + std::to_string(open_ms) + " ms" : Printable(opened.message()),
       opened.ok() ? "" : "mend what is said above and below, then run this again"});
  findings.push_back(ExamineSeccomp(sandbox.get()));
  findings.push_back(ExamineSecondWall(sandbox.get()));
  findings.push_back(ExamineClocks(sandbox.get()));
  findings.push_back(ExamineFileLimit(sandbox.get()));
  findings.push_back(ExamineLayers());
  findings.push_back(ExamineGroups());
  findings.push_back(ExamineUser());
  findings.push_back(ExamineTool("python3", "/usr/bin/python3", "python3"));
  findings.push_back(ExamineTool("git", "/usr/bin/git", "git"));
  findings.push_back(ExamineMemory());
  return findings;
}

}  // namespace taskmint::sandbox
