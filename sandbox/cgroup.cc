#include "sandbox/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "proto/base/log.h"
#include "sandbox/fd.h"
#include "sandbox/process_mark.h"

namespace taskmint::sandbox {
namespace {

constexpr std::string_view kPrefix = "taskmint-";
// Where processes go that stood in a group which is to hand memory and pids on.
constexpr std::string_view kLeaf = "taskmint.processes";
// The kernel charges memory in advance, this much at most at once.
constexpr uint64_t kChargeBytes = 1 << 20;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The number behind `name` at the start of a line; 0 when there is none.
uint64_t CountIn(const std::string& path, std::string_view name) {
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
  }
  return 0;
}

bool WriteFile(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool HasWord(const std::string& list, std::string_view word, char separator) {
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, separator);) {
    if (!item.empty() && item.back() == '\n') item.pop_back();
    if (item == word) return true;
  }
  return false;
}

// This process's group in a hierarchy: its path relative to the mount. `controller` "" is V2.
std::string OwnGroup(std::string_view controller) {
  std::istringstream lines(ReadFile("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : HasWord(controllers, controller, ',')) {
      return line.substr(second + 1);
    }
  }
  return {};
}

// The mount point of a hierarchy and the group at its root. `controller` "" is V2.
bool FindMount(std::string_view controller, std::string* point, std::string* root) {
  std::istringstream lines(ReadFile("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash));
    std::istringstream tail(line.substr(dash + 3));
    std::string id, parent, device, type, source, options;
    head >> id >> parent >> device >> *root >> *point;
    tail >> type >> source >> options;
    if (controller.empty() ? type == "cgroup2"
                           : type == "cgroup" && HasWord(options, controller, ',')) {
      return true;
    }
  }
  return false;
}

// The folder of this process's own group; empty when it cannot be seen.
std::string OwnFolder(std::string_view controller) {
  std::string point, root;
  if (!FindMount(controller, &point, &root)) return {};
  std::string group = OwnGroup(controller);
  if (root != "/" && group.starts_with(root)) group.erase(0, root.size());
  const std::string folder = point + (group == "/" ? "" : group);
  struct stat info;
  return ::stat(folder.c_str(), &info) == 0 ? folder : point;
}

// Whether children of this group can be given memory and pids.
bool HandsOn(const std::string& folder) {
  const std::string subtree = ReadFile(folder + "/cgroup.subtree_control");
  return HasWord(subtree, "memory", ' ') && HasWord(subtree, "pids", ' ');
}

// Whether `folder`, our own group of version 2, was given to whoever runs in it: systemd marks it
// so, and in a container it is the root of what can be seen, which the kernel's own root is not.
bool IsGivenToUs(const std::string& folder) {
  for (const char* mark : {"user.delegate", "trusted.delegate"}) {
    char value = '0';
    if (::getxattr(folder.c_str(), mark, &value, 1) == 1 && value == '1') return true;
  }
  return OwnGroup("") == "/" && ::access((folder + "/cgroup.type").c_str(), F_OK) == 0;
}

// A group that holds processes hands nothing on: those of a group that is ours to arrange move into
// a child of it, as the kernel's documentation asks for (cgroup-v2, no internal processes).
bool Vacate(const std::string& folder) {
  const std::string controllers = ReadFile(folder + "/cgroup.controllers");
  if (!HasWord(controllers, "memory", ' ') || !HasWord(controllers, "pids", ' ')) return false;
  const std::string leaf = folder + "/" + std::string(kLeaf);
  if (!IsGivenToUs(folder) || (::mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST)) return false;
  // Again while some begin meanwhile.
  for (int tries = 0; tries < 5; ++tries) {
    std::istringstream lines(ReadFile(folder + "/cgroup.procs"));
    for (std::string pid; std::getline(lines, pid);) WriteFile(leaf + "/cgroup.procs", pid);
    if (WriteFile(folder + "/cgroup.subtree_control", "+memory +pids")) return true;
  }
  return false;
}

// The nearest group, from our own upwards, that hands memory and pids on to its children and lets
// us make some. Others than root have no business further up than the group that was given to them:
// what is there is the service manager's, which may change it at any time.
std::string DelegatingFolder() {
  std::string point, root;
  if (!FindMount("", &point, &root)) return {};
  const std::string own = OwnFolder("");
  for (std::string folder = own; folder.size() >= point.size();
       folder = folder.substr(0, folder.rfind('/'))) {
    const bool is_ours =
        ::geteuid() == 0 || folder == own || own == folder + "/" + std::string(kLeaf);
    if (!is_ours || ::access((folder + "/cgroup.procs").c_str(), W_OK) != 0) continue;
    // Works where our own group is the root one, or empty.
    if (HandsOn(folder) || WriteFile(folder + "/cgroup.subtree_control", "+memory +pids")) {
      return folder;
    }
    if (folder == own && Vacate(folder)) return folder;
  }
  return {};
}

// rmdir says EBUSY for some milliseconds after the last process died.
bool RemoveGroup(const std::string& folder) {
  std::chrono::microseconds pause(200);
  for (int tries = 0; tries < 14; ++tries) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return true;
    if (errno != EBUSY) return false;
    std::this_thread::sleep_for(pause);
    pause *= 2;
  }
  return false;
}

// bubblewrap that is killed while it begins leaves a child that waits for it for ever.
void KillAllIn(const std::string& folder) {
  std::istringstream lines(ReadFile(folder + "/cgroup.procs"));
  for (pid_t pid = 0; lines >> pid;) {
    if (pid > 0) ::kill(pid, SIGKILL);
  }
}

// Groups are named after the process: those of dead processes are left over from a kill -9.
void Sweep(const std::string& folder) {
  DIR* stream = ::opendir(folder.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    if (IsOfDeadProcess(name.substr(kPrefix.size()))) {
      const std::string group = folder + "/" + entry->d_name;
      KillAllIn(group);
      RemoveGroup(group);
    }
  }
  ::closedir(stream);
}

std::string NewName() {
  static std::atomic<uint64_t> next{0};
  return std::string(kPrefix) + ProcessMark() + "-" + std::to_string(next++);
}

bool CanMakeIn(const std::string& folder) {
  if (folder.empty()) return false;
  Sweep(folder);
  const std::string group = folder + "/" + NewName();
  if (::mkdir(group.c_str(), 0755) != 0) return false;
  const bool writable = ::access((group + "/cgroup.procs").c_str(), W_OK) == 0;
  ::rmdir(group.c_str());
  return writable;
}

}  // namespace

CgroupHome FindCgroupHome() {
  CgroupHome home;
  const std::string memory = OwnFolder("memory");
  const std::string processes = OwnFolder("pids");
  if (CanMakeIn(memory)) home.memory_folder = memory;
  if (CanMakeIn(processes)) home.processes_folder = processes;
  const std::string cpu = OwnFolder("cpuacct");
  if (CanMakeIn(cpu)) home.cpu_folder = cpu;
  if (!home.memory_folder.empty()) {
    home.kind = CgroupHome::Kind::kV1;
    home.detail = "version 1 below " + home.memory_folder;
    return home;
  }
  const std::string unified = DelegatingFolder();
  if (CanMakeIn(unified)) {
    home.kind = CgroupHome::Kind::kV2;
    home.memory_folder = home.processes_folder = unified;
    home.cpu_folder.clear();  // each group counts it
    home.detail = "version 2 below " + unified;
    return home;
  }
  home.processes_folder.clear();
  home.cpu_folder.clear();
  home.detail = ::geteuid() == 0 ? "no group with memory and pids can be made here"
                                 : "no group with memory and pids was given to this user";
  return home;
}

Result<std::unique_ptr<Cgroup>> Cgroup::Make(const CgroupHome& home, int64_t memory_bytes_max,
                                             int64_t processes_max) {
  std::unique_ptr<Cgroup> group(new Cgroup);
  group->kind_ = home.kind;
  const std::string name = NewName();
  const auto make = [&](const std::string& parent) -> Result<std::string> {
    std::string folder = parent + "/" + name;
    if (::mkdir(folder.c_str(), 0755) != 0) {
      return Status(Code::kAborted, Boundary::kSandbox,
                    "cannot make the control group " + folder + ": " + std::strerror(errno));
    }
    group->folders_.push_back(folder);
    return folder;
  };
  const std::string memory_bytes = std::to_string(memory_bytes_max);
  const std::string processes = std::to_string(processes_max);
  bool limited = true;
  if (home.kind == CgroupHome::Kind::kV2) {
    TASKMINT_ASSIGN_OR_RETURN(group->memory_folder_, make(home.memory_folder));
    group->processes_folder_ = group->memory_folder_;
    limited = WriteFile(group->memory_folder_ + "/memory.max", memory_bytes) &&
              WriteFile(group->memory_folder_ + "/pids.max", processes);
    WriteFile(group->memory_folder_ + "/memory.swap.max", "0");
  } else if (home.kind == CgroupHome::Kind::kV1) {
    TASKMINT_ASSIGN_OR_RETURN(group->memory_folder_, make(home.memory_folder));
    limited = WriteFile(group->memory_folder_ + "/memory.limit_in_bytes", memory_bytes);
    WriteFile(group->memory_folder_ + "/memory.memsw.limit_in_bytes", memory_bytes);
    if (!home.processes_folder.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(group->processes_folder_, make(home.processes_folder));
      limited = limited && WriteFile(group->processes_folder_ + "/pids.max", processes);
    }
  }
  if (home.kind == CgroupHome::Kind::kV1 && !home.cpu_folder.empty()) {
    if (home.cpu_folder == home.processes_folder)
      group->cpu_folder_ = group->processes_folder_;
    else if (home.cpu_folder == home.memory_folder)
      group->cpu_folder_ = group->memory_folder_;
    else {
      TASKMINT_ASSIGN_OR_RETURN(group->cpu_folder_, make(home.cpu_folder));
    }
  }
  if (!limited) {
    return Status(Code::kAborted, Boundary::kSandbox,
                  "cannot set the limits of the control group " + group->memory_folder_);
  }
  return group;
}

Cgroup::~Cgroup() {
  for (const std::string& folder : folders_) {
    if (!RemoveGroup(folder)) {
      Log(LogLevel::kWarning, "control group left", {{"folder", folder}});
    }
  }
}

std::vector<std::string> Cgroup::JoinPaths() const {
  std::vector<std::string> paths;
  // By "tasks", which version 2 has not, one thread joins without a lock on all forks of the
  // machine, for which the kernel waits some milliseconds.
  const char* const file = kind_ == CgroupHome::Kind::kV1 ? "/tasks" : "/cgroup.procs";
  for (const std::string& folder : folders_) paths.push_back(folder + file);
  return paths;
}

uint64_t Cgroup::MemoryKills() const {
  if (memory_folder_.empty()) return 0;
  return CountIn(
      memory_folder_ + (kind_ == CgroupHome::Kind::kV2 ? "/memory.events" : "/memory.oom_control"),
      "oom_kill ");
}

uint64_t Cgroup::ProcessRefusals() const {
  if (processes_folder_.empty()) return 0;
  // Before Linux 6.11 what a group further up refused is counted here, too; then this one was not
  // full. Kernels that keep no peak are believed.
  const uint64_t peak = ProcessesPeak();
  if (peak > 0 && peak < CountIn(processes_folder_ + "/pids.max", "")) return 0;
  return CountIn(processes_folder_ + "/pids.events", "max ");
}

std::optional<uint64_t> Cgroup::CpuMicroseconds() const {
  if (kind_ == CgroupHome::Kind::kV2) return CountIn(memory_folder_ + "/cpu.stat", "usage_usec ");
  if (cpu_folder_.empty()) return std::nullopt;
  return CountIn(cpu_folder_ + "/cpuacct.usage", "") / 1000;
}

uint64_t Cgroup::MemoryPeakBytes() {
  if (memory_folder_.empty()) return 0;
  const char* name = kind_ == CgroupHome::Kind::kV2 ? "/memory.peak" : "/memory.max_usage_in_bytes";
  memory_peak_ = std::max(memory_peak_, CountIn(memory_folder_ + name, ""));
  return memory_peak_;
}

uint64_t Cgroup::ProcessesPeak() const {
  return processes_folder_.empty() ? 0 : CountIn(processes_folder_ + "/pids.peak", "");
}

bool KillLedger::HasForeignKill(uint64_t kills, uint64_t hits) {
  const uint64_t killed = kills - std::exchange(kills_, kills);
  if (killed == 0) spent_hits_ = std::max(spent_hits_, last_hits_);
  last_hits_ = hits;
  const uint64_t own = std::min(killed, hits - spent_hits_);
  spent_hits_ += own;
  return own < killed;
}

bool Cgroup::WasFull() {
  // The high-water mark: not every kernel counts failures of a group that it then kills in.
  const uint64_t most = CountIn(memory_folder_ + "/memory.max_usage_in_bytes", "");
  const uint64_t limit = CountIn(memory_folder_ + "/memory.limit_in_bytes", "");
  memory_peak_ = std::max(memory_peak_, most);
  WriteFile(memory_folder_ + "/memory.max_usage_in_bytes", "0");
  return most + kChargeBytes >= limit;
}

bool Cgroup::HostRanOutOfMemory() {
  if (memory_folder_.empty()) return false;
  const uint64_t kills = MemoryKills();  // before the hits, which are counted first
  if (kind_ == CgroupHome::Kind::kV2) {
    return ledger_.HasForeignKill(kills, CountIn(memory_folder_ + "/memory.events", "oom "));
  }
  const bool full = WasFull();
  return std::exchange(seen_kills_, kills) < kills && !full;
}

}  // namespace taskmint::sandbox
