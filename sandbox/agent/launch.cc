#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "sandbox/agent/failure.h"
#include "sandbox/agent/modes.h"
#include "sandbox/agent/root_builder.h"
#include "sandbox/agent/users.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

struct LaunchPlan {
  pid_t parent = 0;
  std::vector<std::string> cgroups;
  std::optional<int64_t> clocks_s;
  RootPlan root;
  std::vector<char*> command;
};

// `next` gathers what belongs to the step that comes.
bool ParseStep(const std::string& name, const std::string& value, BuildStep* next,
               LaunchPlan* plan) {
  using Kind = BuildStep::Kind;
  if (name == "--source") {
    next->source = value;
  } else if (name == "--base") {
    next->base = value;
  } else if (name == "--mode") {
    next->mode = static_cast<mode_t>(std::strtoul(value.c_str(), nullptr, 8));
  } else if (name == "--layer-folder" || name == "--layer-image") {
    next->layers.push_back({value, name == "--layer-image"});
  } else {
    const std::pair<const char*, Kind> kinds[] = {
        {"--link", Kind::kLink},     {"--folder", Kind::kFolder},
        {"--data", Kind::kData},     {"--staged", Kind::kStaged},
        {"--show", Kind::kShow},     {"--own", Kind::kOwn},
        {"--below", Kind::kBelow},   {"--memory", Kind::kMemory},
        {"--seal", Kind::kSeal},     {"--hide-folder", Kind::kHideFolder},
        {"--layers", Kind::kLayers}, {"--hide-file", Kind::kHideFile}};
    const auto* kind = std::find_if(std::begin(kinds), std::end(kinds),
                                    [&](const auto& one) { return name == one.first; });
    if (kind == std::end(kinds) || value.empty() || value[0] != '/') return false;
    next->kind = kind->second;
    next->place = value;
    plan->root.steps.push_back(std::move(*next));
    *next = BuildStep();
  }
  return true;
}

bool Parse(const std::vector<std::string>& arguments, LaunchPlan* plan) {
  BuildStep next;
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
      plan->root.uid = static_cast<uid_t>(std::strtoul(value.c_str(), nullptr, 10));
    else if (name == "--staging")
      plan->root.staging = std::atoi(value.c_str());
    else if (name == "--owner")
      plan->root.owner = std::atoi(value.c_str());
    else if (name == "--shared-memory")
      plan->root.shared_memory = value;
    else if (name == "--join")
      plan->cgroups.push_back(value);
    else if (name == "--clocks")
      plan->clocks_s = std::atoll(value.c_str());
    else if (!ParseStep(name, value, &next, plan))
      return false;
  }
  return false;
}

// "monotonic SECONDS NANOSECONDS" for what is to be added to a clock, see time_namespaces(7).
std::string OffsetTo(int64_t wanted_s, clockid_t clock, const char* name) {
  timespec now;
  clock_gettime(clock, &now);
  int64_t seconds = wanted_s - now.tv_sec;
  int64_t nanoseconds = -now.tv_nsec;
  if (nanoseconds < 0) {
    nanoseconds += 1'000'000'000;
    --seconds;
  }
  return std::string(name) + " " + std::to_string(seconds) + " " + std::to_string(nanoseconds) +
         "\n";
}

// For what is started from here on. What waits for a time of the clock outside is of no use there:
// nothing of ours does.
void SetClocks(int64_t seconds) {
  constexpr int kNewTime = 0x80;  // CLONE_NEWTIME
  if (unshare(kNewTime) != 0) return;
  WriteText("/proc/self/timens_offsets", OffsetTo(seconds, CLOCK_MONOTONIC, "monotonic") +
                                             OffsetTo(seconds, CLOCK_BOOTTIME, "boottime"));
}

void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
}

}  // namespace

int Launch(const std::vector<std::string>& arguments) {
  LaunchPlan plan;
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
  if (const int failed = BuildRoot(plan.root); failed != 0) return failed;
  if (plan.clocks_s) SetClocks(*plan.clocks_s);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (const int failed = DropUser(plan.root.uid); failed != 0) return failed;
  // After the change of user, which would clear it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) return 1;
  execv(plan.command[0], plan.command.data());
  return Fail("run", plan.command[0]);
}

}  // namespace taskmint::sandbox
