#include "tests/nightly/host_holdings.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "sandbox/cgroup.h"
#include "sandbox/process_mark.h"

namespace taskmint::sandbox {
namespace {

constexpr char kSlotPrefix[] = "@taskmint-slot-";

// The ranges that sandbox/bubblewrap.cc takes users from.
bool IsSlotUser(uint64_t uid) {
  constexpr uint64_t kSlots = 4096;
  for (const uint64_t first : {uint64_t{1'900'000'000}, uint64_t{61'000}}) {
    if (uid >= first && uid < first + kSlots) return true;
  }
  return false;
}

bool IsOfOurSandboxes(uint64_t uid) {
  return IsSlotUser(uid) || (::geteuid() != 0 && uid == ::geteuid());
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> WordsOf(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

int64_t NumberIn(const std::string& path, std::string_view name) {
  for (const std::string& line : LinesOf(path)) {
    if (line.starts_with(name)) return std::atoll(line.c_str() + name.size());
  }
  return 0;
}

struct Process {
  std::string pid;
  std::string name;
  std::string state;
  std::string parent;
  std::string started;  // since the boot: a number that is used again is another process
  uint64_t uid = 0;
  std::string Text() const { return name + " " + pid + " begun at " + started; }
  bool ended() const { return state == "Z"; }
};

std::vector<Process> ProcessesNow() {
  std::vector<Process> processes;
  for (const std::string& pid : NamesIn("/proc")) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::vector<std::string> lines = LinesOf("/proc/" + pid + "/stat");
    struct stat info;
    if (lines.empty() || ::stat(("/proc/" + pid).c_str(), &info) != 0) continue;
    const size_t open = lines[0].find('('), close = lines[0].rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    const std::vector<std::string> words = WordsOf(lines[0].substr(close + 1));
    if (words.size() < 20) continue;
    Process process{pid, lines[0].substr(open, close + 1 - open), words[0], words[1], words[19], 0};
    // The user of the status: the folder's is root's where a process is not dumpable.
    for (const std::string& line : LinesOf("/proc/" + pid + "/status")) {
      if (line.starts_with("Uid:")) process.uid = std::strtoull(line.c_str() + 4, nullptr, 10);
    }
    processes.push_back(std::move(process));
  }
  return processes;
}

struct AbstractSocket {
  std::string name;
  std::string inode;
};

std::vector<AbstractSocket> AbstractSockets() {
  std::vector<AbstractSocket> sockets;
  for (const std::string& line : LinesOf("/proc/net/unix")) {
    const std::vector<std::string> words = WordsOf(line);
    if (words.size() >= 8 && words[7].starts_with("@")) sockets.push_back({words[7], words[6]});
  }
  return sockets;
}

void LookAtSockets(HostHoldings* held) {
  std::set<std::string> ours;
  for (const std::string& fd : NamesIn("/proc/self/fd")) {
    std::array<char, 256> target;
    const ssize_t size = ::readlink(("/proc/self/fd/" + fd).c_str(), target.data(), target.size());
    if (size <= 0) continue;  // the one that the folder was read with
    ++held->open_files;       // several may lead to the same
    ours.emplace(target.data(), static_cast<size_t>(size));
  }
  for (const AbstractSocket& socket : AbstractSockets()) {
    if (!socket.name.starts_with(kSlotPrefix)) {
      if (socket.name.starts_with("@taskmint")) held->abstract_sockets.insert(socket.name);
    } else if (ours.contains("socket:[" + socket.inode + "]")) {
      held->slots.insert(socket.name);
    }
  }
}

void LookAtProcesses(HostHoldings* held) {
  std::map<std::string, Process> by_pid;
  for (Process& process : ProcessesNow()) by_pid.emplace(process.pid, process);
  const std::string self = std::to_string(::getpid());
  for (const auto& [pid, process] : by_pid) {
    for (auto above = by_pid.find(pid); above != by_pid.end();
         above = by_pid.find(above->second.parent)) {
      if (above->second.parent != self) continue;
      held->descendants.insert(process.Text() + " of user " + std::to_string(process.uid));
      break;
    }
  }
}

// Containers that somebody starts meanwhile are mounted in the same namespace.
bool IsOfContainers(const std::string& mount) {
  return mount.find("/containers/") != std::string::npos ||
         mount.find("/docker/") != std::string::npos;
}

void LookAtIpc(HostHoldings* held) {
  // shmid_ds, msqid_ds and semid_ds have the user in another column each.
  for (const auto& [kind, uid_column] :
       {std::pair{"shm", size_t{7}}, std::pair{"msg", size_t{7}}, std::pair{"sem", size_t{4}}}) {
    for (const std::string& line : LinesOf(std::string("/proc/sysvipc/") + kind)) {
      const std::vector<std::string> words = WordsOf(line);
      if (words.size() <= uid_column || words[0] == "key") continue;
      if (IsOfOurSandboxes(std::strtoull(words[uid_column].c_str(), nullptr, 10))) {
        held->ipc_objects.insert(std::string(kind) + " " + words[1]);
      }
    }
  }
  for (const std::string folder : {"/dev/shm", "/dev/mqueue"}) {
    for (const std::string& name : NamesIn(folder)) {
      struct stat info;
      const std::string path = folder + "/" + name;
      if (::lstat(path.c_str(), &info) == 0 && IsOfOurSandboxes(info.st_uid)) {
        held->ipc_objects.insert(path);
      }
    }
  }
}

void LookAtFolders(HostHoldings* held) {
  const std::string self = std::to_string(::getpid());
  const CgroupHome home = FindCgroupHome();
  for (const std::string& folder : {home.memory_folder, home.processes_folder, home.cpu_folder}) {
    if (folder.empty()) continue;
    for (const std::string& name : NamesIn(folder)) {
      if (name.starts_with("taskmint-" + ProcessMark() + "-")) {
        held->groups.insert(folder + "/" + name);
      }
    }
  }
  std::error_code error;
  const std::string temporary = std::filesystem::temp_directory_path(error);
  for (const std::string& folder : {temporary, std::string("/tmp")}) {
    for (const std::string& name : NamesIn(folder)) {
      if (name.starts_with("taskmint-") && name.find("-" + self + "-") != std::string::npos) {
        held->temporary_folders.insert(folder + "/" + name);
      }
    }
  }
}

void Compare(const char* what, const std::set<std::string>& before,
             const std::set<std::string>& after, std::vector<std::string>* leftovers) {
  for (const std::string& text : after) {
    if (!before.contains(text)) leftovers->push_back(std::string(what) + ": " + text);
  }
}

}  // namespace

HostHoldings HostHoldings::Look() {
  HostHoldings held;
  for (const std::string& line : LinesOf("/proc/self/mountinfo")) {
    if (!IsOfContainers(line)) held.mounts.insert(line);
  }
  LookAtFolders(&held);
  LookAtProcesses(&held);
  LookAtSockets(&held);
  LookAtIpc(&held);
  held.threads = NumberIn("/proc/self/status", "Threads:");
  ::malloc_trim(0);
  held.resident_kib = NumberIn("/proc/self/status", "VmRSS:");
  held.set_kib = NumberIn("/proc/self/smaps_rollup", "Pss:");
  return held;
}

std::vector<std::string> Leftovers(const HostHoldings& before, const HostHoldings& after) {
  std::vector<std::string> leftovers;
  if (after.open_files > before.open_files) {
    leftovers.push_back("open files: " + std::to_string(after.open_files) + " instead of " +
                        std::to_string(before.open_files));
  }
  if (after.threads > before.threads) {
    leftovers.push_back("threads: " + std::to_string(after.threads) + " instead of " +
                        std::to_string(before.threads));
  }
  Compare("mount", before.mounts, after.mounts, &leftovers);
  Compare("control group", before.groups, after.groups, &leftovers);
  Compare("process", before.descendants, after.descendants, &leftovers);
  Compare("slot", before.slots, after.slots, &leftovers);
  Compare("abstract socket", before.abstract_sockets, after.abstract_sockets, &leftovers);
  Compare("IPC object", before.ipc_objects, after.ipc_objects, &leftovers);
  Compare("temporary folder", before.temporary_folders, after.temporary_folders, &leftovers);
  return leftovers;
}

void AdoptOrphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

int64_t ReapOrphans() {
  int64_t reaped = 0;
  const std::string self = std::to_string(::getpid());
  for (const Process& process : ProcessesNow()) {
    if (process.parent != self || !process.ended()) continue;
    if (::waitpid(std::atoi(process.pid.c_str()), nullptr, WNOHANG) > 0) ++reaped;
  }
  return reaped;
}

}  // namespace taskmint::sandbox
