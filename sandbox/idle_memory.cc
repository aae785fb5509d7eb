#include "sandbox/idle_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "sandbox/agent_sandbox.h"
#include "sandbox/bench_rivals.h"

namespace taskmint::sandbox {
namespace {

// Descriptors of an open sandbox here, and what everything else does.
constexpr rlim_t kFilesPerSandbox = 6;
constexpr rlim_t kFilesBeside = 256;
constexpr double kKibibyte = 1024;

void RaiseOpenFilesLimit(int64_t sandboxes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = kFilesPerSandbox * static_cast<rlim_t>(sandboxes) + kFilesBeside;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The number behind `name` at the start of a line of a file; -1 where there is none.
double NumberIn(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return std::strtod(line.c_str() + name.size(), nullptr);
  }
  return -1;
}

double KibibytesIn(const std::string& path, std::string_view name) {
  return std::max(0.0, NumberIn(path, name)) / kKibibyte;
}

std::vector<pid_t> ProcessesOf(const Session& session) {
  if (session.cgroup == nullptr) return {session.monitor.pid(), session.channel->peer_pid()};
  std::vector<pid_t> pids;
  std::ifstream group(session.cgroup->JoinPaths().front());
  for (pid_t pid = 0; group >> pid;) pids.push_back(pid);
  return pids;
}

void AddProcess(pid_t pid, IdleMemory* sum) {
  const std::string folder = "/proc/" + std::to_string(pid);
  ++sum->processes;
  const double set_kib = NumberIn(folder + "/smaps_rollup", "Pss:");
  if (set_kib >= 0) {
    sum->set_kib += set_kib;
    sum->anonymous_kib += std::max(0.0, NumberIn(folder + "/smaps_rollup", "Pss_Anon:"));
    return;
  }
  std::ifstream pages(folder + "/statm");
  double size = 0, resident = 0, shared = 0;
  pages >> size >> resident >> shared;
  const double own_kib = (resident - shared) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024;
  sum->set_kib += own_kib;
  sum->anonymous_kib += own_kib;
}

void AddGroup(const Session& session, IdleMemory* sum) {
  if (session.cgroup == nullptr || !session.cgroup->limits_memory()) return;
  // Memory's is the first that a process joins.
  const std::string procs = session.cgroup->JoinPaths().front();
  const std::string folder = procs.substr(0, procs.rfind('/'));
  const bool version_2 = ::access((folder + "/memory.current").c_str(), R_OK) == 0;
  const std::string stat = folder + "/memory.stat";
  if (version_2) {
    sum->group_kib += KibibytesIn(folder + "/memory.current", "");
    sum->group_files_kib += KibibytesIn(stat, "file ");
    sum->group_kernel_kib += KibibytesIn(stat, "kernel ");
  } else {
    sum->group_kib += KibibytesIn(folder + "/memory.usage_in_bytes", "");
    sum->group_files_kib += KibibytesIn(stat, "cache ");
    sum->group_kernel_kib += KibibytesIn(folder + "/memory.kmem.usage_in_bytes", "");
  }
}

// An open sandbox whose session can be looked into.
struct Opened {
  std::shared_ptr<Session> session;
  std::unique_ptr<AgentSandbox> sandbox;
};

Result<Opened> OpenAndUse(const HostParts& parts, const std::stop_token& stop) {
  const SandboxSpec spec;
  Opened opened;
  TASKMINT_ASSIGN_OR_RETURN(opened.session, OpenSession(parts, spec, stop));
  opened.sandbox = std::make_unique<AgentSandbox>(opened.session, spec);
  Command command;
  command.argv = {kTrueProgram};
  TASKMINT_RETURN_IF_ERROR(opened.sandbox->Run(command, stop).status());
  return opened;
}

}  // namespace

Result<IdleMemory> MeasureIdleMemory(const std::shared_ptr<const HostParts>& parts, int64_t count,
                                     const std::function<void(int64_t)>& tell,
                                     const std::stop_token& stop) {
  RaiseOpenFilesLimit(count);
  IdleMemory memory;
  std::vector<Opened> sandboxes;
  const double available_before = NumberIn("/proc/meminfo", "MemAvailable:");
  while (static_cast<int64_t>(sandboxes.size()) < count) {
    auto sandbox = OpenAndUse(*parts, stop);
    if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kSandbox, "cancelled");
    if (!sandbox.ok() && sandboxes.empty()) return sandbox.status();
    if (!sandbox.ok()) {
      memory.stopped_by = sandbox.status().message();
      break;
    }
    sandboxes.push_back(std::move(*sandbox));
    tell(static_cast<int64_t>(sandboxes.size()));
  }
  memory.machine_kib = available_before - NumberIn("/proc/meminfo", "MemAvailable:");
  for (const Opened& opened : sandboxes) {
    for (const pid_t pid : ProcessesOf(*opened.session)) AddProcess(pid, &memory);
    AddGroup(*opened.session, &memory);
  }
  memory.sandboxes = static_cast<int64_t>(sandboxes.size());
  for (double* sum : {&memory.processes, &memory.set_kib, &memory.anonymous_kib, &memory.group_kib,
                      &memory.group_files_kib, &memory.group_kernel_kib, &memory.machine_kib}) {
    *sum /= static_cast<double>(std::max<int64_t>(1, memory.sandboxes));
  }
  memory.total_kib = memory.set_kib + memory.group_kib;
  return memory;
}

}  // namespace taskmint::sandbox
