#include "sandbox/host_traces.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

#include "proto/base/utf8.h"
#include "sandbox/bubblewrap.h"
#include "sandbox/cgroup.h"
#include "sandbox/process_mark.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;

// How far the wall clock may drift, as time daemons make it.
constexpr int64_t kDriftMsMax = 2000;
constexpr std::string_view kAgentInside = "/sbx/agent";
// The first word of all files that the attacks make.
constexpr std::string_view kAttackFile = "taskmint-attack";

// Settings that the kernel changes by itself, or that act when they are read.
constexpr std::array<std::string_view, 12> kVolatile = {
    "/fs/aio-nr",      "/fs/dentry-state", "/fs/file-nr",      "/fs/inode-nr",
    "/fs/inode-state", "/fs/quota/",       "/kernel/random/",  "/kernel/ns_last_pid",
    "/kernel/pty/nr",  "/kernel/cad_pid",  "/vm/stat_refresh", "/fs/binfmt_misc/",
};

std::string Content(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Names below a folder; empty where it cannot be read.
std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

pid_t ParentOf(pid_t pid) {
  const std::string stat = Content("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || name_end + 4 > stat.size()
             ? 0
             : std::atoi(stat.c_str() + name_end + 4);
}

bool IsOfASandbox(pid_t pid) {
  return Content("/proc/" + std::to_string(pid) + "/cmdline").find(kAgentInside) !=
         std::string::npos;
}

// Whether this process opened it, or whoever did is gone.
bool IsOursOrNobodys(pid_t pid) {
  pid_t parent = ParentOf(pid);
  while (parent > 1 && IsOfASandbox(parent)) parent = ParentOf(parent);
  // A service manager takes orphans in, as process 1 does.
  return parent <= 1 || parent == ::getpid() ||
         Content("/proc/" + std::to_string(parent) + "/comm") == "systemd\n";
}

void LookAtProcesses(std::set<std::string>* left) {
  for (const std::string& name : Names("/proc")) {
    const pid_t pid = std::atoi(name.c_str());
    if (pid <= 0 || pid == ::getpid() || !IsOfASandbox(pid) || !IsOursOrNobodys(pid)) continue;
    left->insert("process: " + name + ", " + Printable(Content("/proc/" + name + "/comm")));
  }
}

void LookAtGroups(std::set<std::string>* left) {
  const CgroupHome home = FindCgroupHome();
  const std::string prefix = "taskmint-" + ProcessMark() + "-";
  for (const std::string& folder :
       std::set<std::string>{home.memory_folder, home.processes_folder, home.cpu_folder}) {
    for (const std::string& name : folder.empty() ? std::vector<std::string>() : Names(folder)) {
      if (!name.starts_with(prefix)) continue;
      left->insert(std::string("control group: ").append(folder).append("/").append(name));
    }
  }
}

void LookAtMounts(std::set<std::string>* left) {
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // Its number tells a second mount at the same place.
    left->insert("mount: " + line);
  }
}

void LookAtDescriptors(std::set<std::string>* left) {
  std::map<std::string, int> targets;
  for (const std::string& name : Names("/proc/self/fd")) {
    std::array<char, 4096> target;
    const std::string path = "/proc/self/fd/" + name;
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size <= 0) continue;  // that of the folder itself
    const std::string text(target.data(), static_cast<size_t>(size));
    // Each pipe and socket has a number of its own.
    ++targets[text.substr(0, text.find('['))];
  }
  for (const auto& [target, count] : targets) {
    for (int i = 1; i <= count; ++i) {
      left->insert("descriptor: " + target + ", the " + std::to_string(i) + ". of its kind");
    }
  }
}

void LookAtObjects(std::set<std::string>* left) {
  for (const char* kind : {"msg", "sem", "shm"}) {
    std::ifstream file(std::string("/proc/sysvipc/") + kind);
    std::string line;
    std::getline(file, line);  // names of the columns
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string key, id, mode;
      words >> key >> id >> mode;
      std::ostringstream text;
      text << "System V " << kind << ": key " << key << ", id " << id;
      left->insert(text.str());
    }
  }
  for (const char* folder : {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"}) {
    for (const std::string& name : Names(folder)) {
      const std::string path = std::string(folder) + "/" + name;
      struct stat info;
      if (::lstat(path.c_str(), &info) != 0) continue;
      if (name.starts_with(kAttackFile) || Slot::IsOne(info.st_uid)) {
        left->insert("file: " + Printable(path));
      }
    }
  }
}

void LookAtKernelSettings(std::map<std::string, std::string>* settings) {
  std::vector<std::string> files = {"/proc/net/route", "/proc/net/if_inet6"};
  for (const char* folder :
       {"/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs", "/proc/sys/user"}) {
    std::error_code error;
    for (fs::recursive_directory_iterator
             entry(folder, fs::directory_options::skip_permission_denied, error),
         end;
         !error && entry != end; entry.increment(error)) {
      std::error_code ignored;
      if (entry->is_regular_file(ignored)) files.push_back(entry->path().string());
    }
  }
  for (const std::string& file : files) {
    if (std::any_of(kVolatile.begin(), kVolatile.end(),
                    [&](std::string_view part) { return file.find(part) != std::string::npos; })) {
      continue;
    }
    (*settings)[file] = Content(file);
  }
}

// Those that logins, loaders and shells heed.
void LookAtFiles(std::map<std::string, std::string>* settings) {
  std::vector<std::string> files = {
      "/etc/passwd",        "/etc/group",   "/etc/shadow",  "/etc/sudoers", "/etc/ld.so.cache",
      "/etc/ld.so.preload", "/etc/profile", "/etc/crontab", "/etc/hosts",   "/etc/gitconfig"};
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    for (const char* name : {".bashrc", ".profile", ".gitconfig", ".ssh/authorized_keys",
                             ".config/git/config", ".local/bin", ".pydistutils.cfg"}) {
      files.push_back(std::string(home) + "/" + name);
    }
  }
  for (const std::string& file : files) {
    struct stat info;
    std::string mark = "absent";
    if (::lstat(file.c_str(), &info) == 0) {
      mark = std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " +
             std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + " " +
             std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
    }
    (*settings)[file] = mark;
  }
}

int64_t ClockOffsetMs() {
  const auto ms = [](clockid_t clock) {
    timespec now;
    ::clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  };
  return ms(CLOCK_REALTIME) - ms(CLOCK_BOOTTIME);
}

}  // namespace

HostTraces HostTraces::Look() {
  HostTraces traces;
  LookAtProcesses(&traces.left_);
  LookAtGroups(&traces.left_);
  LookAtMounts(&traces.left_);
  LookAtObjects(&traces.left_);
  LookAtDescriptors(&traces.left_);
  LookAtKernelSettings(&traces.settings_);
  LookAtFiles(&traces.settings_);
  traces.clock_offset_ms_ = ClockOffsetMs();
  return traces;
}

std::vector<std::string> HostTraces::ChangesSince(const HostTraces& before) const {
  std::vector<std::string> changes;
  for (const std::string& what : left_) {
    if (!before.left_.contains(what)) changes.push_back(what);
  }
  for (const std::string& what : before.left_) {
    // What ends by itself is no harm, but for mounts.
    if (what.starts_with("mount: ") && !left_.contains(what)) changes.push_back("gone, " + what);
  }
  for (const auto& [what, value] : before.settings_) {
    const auto now = settings_.find(what);
    if (now == settings_.end() || now->second != value) {
      changes.push_back("setting: " + what + " was '" + Printable(CutMiddle(value, 200)) + "'");
    }
  }
  const int64_t moved_ms = clock_offset_ms_ - before.clock_offset_ms_;
  if (moved_ms > kDriftMsMax || moved_ms < -kDriftMsMax) {
    changes.push_back("clock: the wall clock was set by " + std::to_string(moved_ms) + " ms");
  }
  std::sort(changes.begin(), changes.end());
  return changes;
}

}  // namespace taskmint::sandbox
