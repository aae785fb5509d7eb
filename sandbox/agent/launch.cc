#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sandbox/agent/modes.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

struct Stage {
  std::string path;  // or, of a file system in memory, its options
  bool own = false;  // becomes the user's
  bool memory = false;
};

struct StagePlan {
  pid_t parent = 0;
  uid_t uid = 0;
  std::vector<std::string> cgroups;
  std::vector<Stage> stages;
  std::vector<char*> command;
};

int Fail(const char* what, const std::string& subject) {
  std::fprintf(stderr, "%s %s: %s\n", what, subject.c_str(), std::strerror(errno));
  return 1;
}

bool Parse(const std::vector<std::string>& arguments, StagePlan* plan) {
  for (size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    const std::string& value = arguments[i + 1];
    if (name == "--") {
      for (size_t k = i + 1; k < arguments.size(); ++k) {
        plan->command.push_back(const_cast<char*>(arguments[k].c_str()));
      }
      plan->command.push_back(nullptr);
      return true;
    }
    if (name == "--parent")
      plan->parent = std::atoi(value.c_str());
    else if (name == "--uid")
      plan->uid = static_cast<uid_t>(std::strtoul(value.c_str(), nullptr, 10));
    else if (name == "--join")
      plan->cgroups.push_back(value);
    else if (name == "--stage")
      plan->stages.push_back({value, false});
    else if (name == "--stage-own")
      plan->stages.push_back({value, true});
    else if (name == "--stage-tmpfs")
      plan->stages.push_back({value, true, true});
    else
      return false;
  }
  return false;
}

bool WriteText(const char* path, const std::string& text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// A user who is not root may mount in a user namespace alone; there it stays the same user.
int EnterNamespaces(const StagePlan& plan) {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  const int flags = plan.uid == 0 && uid != 0 ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS;
  if (unshare(flags) != 0) return Fail("unshare", "mount namespace");
  if ((flags & CLONE_NEWUSER) == 0) return 0;
  const auto map = [](uint32_t id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; };
  if (!WriteText("/proc/self/setgroups", "deny") || !WriteText("/proc/self/uid_map", map(uid)) ||
      !WriteText("/proc/self/gid_map", map(gid))) {
    return Fail("map", "user namespace");
  }
  return 0;
}

int MountMemory(const Stage& stage, const std::string& target, const StagePlan& plan) {
  std::string options = stage.path;
  if (plan.uid != 0) {
    const std::string id = std::to_string(plan.uid);
    options.append(",uid=").append(id).append(",gid=").append(id);
  }
  if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", target);
  if (mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return Fail("mount", options);
  }
  return 0;
}

// Host folders may lie where the slot's user cannot go (below /root): bound here, while we still
// may, to a folder that it can reach. The mounts are in a namespace of our own and die with it.
int StageMounts(const StagePlan& plan) {
  if (plan.stages.empty()) return 0;
  if (const int failed = EnterNamespaces(plan); failed != 0) return failed;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Fail("private", "/");
  std::vector<UniqueFd> sources;
  for (const Stage& stage : plan.stages) {
    sources.emplace_back(stage.memory ? -1 : open(stage.path.c_str(), O_PATH | O_CLOEXEC));
    if (!stage.memory && !sources.back().valid()) return Fail("open", stage.path);
  }
  if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") != 0) {
    return Fail("mount", "/tmp");
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    const std::string source = "/proc/self/fd/" + std::to_string(sources[i].get());
    const std::string target = "/tmp/" + std::to_string(i);
    if (plan.stages[i].memory) {
      if (const int failed = MountMemory(plan.stages[i], target, plan); failed != 0) return failed;
      continue;
    }
    struct stat info;
    if (fstat(sources[i].get(), &info) != 0) return Fail("stat", plan.stages[i].path);
    if (S_ISDIR(info.st_mode)) {
      if (mkdir(target.c_str(), 0755) != 0) return Fail("mkdir", target);
      if (plan.stages[i].own && plan.uid != 0 && chown(source.c_str(), plan.uid, plan.uid) != 0) {
        return Fail("chown", plan.stages[i].path);
      }
    } else {
      const UniqueFd file(open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
      if (!file.valid()) return Fail("create", target);
    }
    if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return Fail("bind", plan.stages[i].path);
    }
  }
  return 0;
}

void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
}

}  // namespace

int Launch(const std::vector<std::string>& arguments) {
  StagePlan plan;
  if (!Parse(arguments, &plan)) {
    std::fprintf(stderr, "bad arguments\n");
    return 2;
  }
  ResetSignals();
  umask(022);
  // Ctrl-C is for the caller to handle, not for the sandboxes' monitors to die of.
  setsid();
  for (const std::string& path : plan.cgroups) {
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.valid() || write(file.get(), "0", 1) != 1) return Fail("join", path);
  }
  if (const int failed = StageMounts(plan); failed != 0) return failed;
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (plan.uid != 0) {
    const gid_t gid = plan.uid;
    if (setgroups(0, nullptr) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(plan.uid, plan.uid, plan.uid) != 0) {
      return Fail("drop to user", std::to_string(plan.uid));
    }
  }
  // After the change of user, which would clear it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) return 1;
  execv(plan.command[0], plan.command.data());
  return Fail("run", plan.command[0]);
}

}  // namespace taskmint::sandbox
