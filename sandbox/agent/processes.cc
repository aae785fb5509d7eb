#include "sandbox/agent/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "sandbox/agent/usage.h"
#include "sandbox/wire.h"

namespace taskmint::sandbox {
namespace {

// Timers count as signals, too. The kernel keeps both for the user, who may be the one of other
// sandboxes.
constexpr uint64_t kPendingSignalsMax = 4096;
constexpr uint64_t kMessageQueueBytesMax = 819'200;

// How often CPU time is looked at, where it is limited.
constexpr int64_t kTickLookMs = 100;

std::vector<std::string> Candidates(const std::string& program,
                                    const std::vector<std::string>& variables) {
  if (program.find('/') != std::string::npos) return {program};
  std::string_view path = "/usr/bin:/bin";
  for (const std::string& variable : variables) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> candidates;
  while (!path.empty()) {
    const size_t colon = path.find(':');
    const std::string_view folder = path.substr(0, colon);
    // An empty entry would mean the current folder, which the code under test writes.
    if (!folder.empty()) candidates.push_back(std::string(folder) + "/" + program);
    if (colon == std::string_view::npos) break;
    path.remove_prefix(colon + 1);
  }
  return candidates;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void Limit(__rlimit_resource resource, uint64_t value) {
  if (value == 0) return;
  rlimit limit{value, value};
  if (setrlimit(resource, &limit) == 0) return;
  // The inherited hard limit is lower still.
  if (getrlimit(resource, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
  }
}

struct ProgramPlan {
  const char* const* candidates;
  char* const* argv;
  char* const* variables;
  const char* folder;
  int input, output, error;
  ProcessLimits limits;
};

// Why no program came to run.
struct Failure {
  int error = 0;
  bool folder = false;
};

// Runs in the vfork child: system calls only, nothing allocated, never returns. Returns through
// `failure`, which lies in the parent's memory.
[[noreturn]] void Child(const ProgramPlan& plan, volatile Failure* failure) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(plan.input, 0);
  dup2(plan.output, 1);
  dup2(plan.error, 2);
  ioctl(0, TIOCSCTTY, 0);  // fails where it is no terminal, which is fine
  syscall(SYS_close_range, 3U, ~0U, 0U);
  Limit(RLIMIT_NPROC, plan.limits.processes);
  Limit(RLIMIT_AS, plan.limits.address_bytes);
  Limit(RLIMIT_FSIZE, plan.limits.file_bytes);
  Limit(RLIMIT_NOFILE, plan.limits.open_files);
  Limit(RLIMIT_SIGPENDING, kPendingSignalsMax);
  Limit(RLIMIT_MSGQUEUE, kMessageQueueBytesMax);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (chdir(plan.folder) != 0) {
    failure->error = errno;
    failure->folder = true;
    _exit(127);
  }
  int error = ENOENT;
  for (const char* const* program = plan.candidates; *program != nullptr; ++program) {
    execve(*program, plan.argv, plan.variables);
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  failure->error = error;
  _exit(127);
}

// Apart, so that nothing of the caller lives in registers across vfork.
__attribute__((noinline)) pid_t Launch(const ProgramPlan& plan, volatile Failure* failure) {
  const pid_t pid = vfork();
  if (pid == 0) Child(plan, failure);
  return pid;
}

}  // namespace

int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

Processes::Processes(const ProcessLimits& limits, UniqueFd score)
    : limits_(limits), score_(std::move(score)) {
  char text[16];
  const ssize_t size = pread(score_.get(), text, sizeof text, 0);
  own_score_.assign(text, size > 0 ? static_cast<size_t>(size) : 0);
}

void Processes::SetScore(const std::string& score) const {
  // Where it cannot be set, in no /proc, the kernel takes whom it likes.
  [[maybe_unused]] const ssize_t ignored = pwrite(score_.get(), score.data(), score.size(), 0);
}

Processes::Tracked* Processes::Start(ProcessRequest request, bool is_line, const TimeLimits& times,
                                     bool* folder_failed) {
  if (request.argv.empty() || request.argv[0].empty()) {
    errno = ENOENT;
    return nullptr;
  }
  UniqueFd error_read;
  if (is_line) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return nullptr;
    error_read.reset(ends[0]);
    request.error.reset(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  const std::vector<std::string> candidates = Candidates(request.argv[0], request.variables);
  const std::vector<char*> programs = Pointers(candidates);
  const std::vector<char*> argv = Pointers(request.argv);
  const std::vector<char*> variables = Pointers(request.variables);
  const ProgramPlan plan{
      programs.data(),     argv.data(),          variables.data(),    request.folder.c_str(),
      request.input.get(), request.output.get(), request.error.get(), limits_};
  volatile Failure failure;
  const uint64_t used_bytes_before = file_systems_.UsedBytes();
  const uint64_t cpu_us_before = times.cpu_ms > 0 ? CpuMicrosecondsInside() : 0;
  // Should memory run out, the kernel is to take what runs here before the agent. Inherited, since
  // the file of a process that begins is root's for a moment, or for good. (Before Linux 5.10 the
  // second call may come while the memory is still shared, and then counts for the child, too.)
  SetScore("1000");
  const pid_t pid = Launch(plan, &failure);
  SetScore(own_score_);
  if (pid < 0) return nullptr;
  if (failure.error != 0) {
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *folder_failed = failure.folder;
    errno = failure.error;
    return nullptr;
  }
  Tracked& process = tracked_.emplace_back();
  process.used_bytes_before = used_bytes_before;
  process.id = next_id_++;
  process.pid = pid;
  process.is_line = is_line;
  process.deadline_ms = times.wall_ms > 0 ? NowMs() + times.wall_ms : 0;
  if (times.cpu_ms > 0) {
    process.cpu_us_max = cpu_us_before + static_cast<uint64_t>(times.cpu_ms) * 1000;
  }
  process.error = std::move(error_read);
  return &process;
}

Processes::Tracked* Processes::Find(uint64_t id) {
  for (Tracked& process : tracked_) {
    if (process.id == id) return &process;
  }
  return nullptr;
}

void Processes::Kill(const Tracked& process) {
  if (!process.ended) {
    kill(-process.pid, SIGKILL);
    kill(process.pid, SIGKILL);
  }
  for (const Tracked& other : tracked_) {
    if (other.id != process.id && !other.ended) return;
  }
  kill(-1, SIGKILL);
}

void Processes::Signal(uint64_t id, int number) {
  const Tracked* process = Find(id);
  if (process == nullptr || process->ended) return;
  // Either leads a group of its own, or has just begun and leads none yet.
  if (kill(-process->pid, number) != 0) kill(process->pid, number);
}

void Processes::Stop(uint64_t id) {
  Tracked* process = Find(id);
  if (process == nullptr) return;
  Kill(*process);
  int status;
  while (!process->ended && waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
  }
  for (auto it = tracked_.begin(); it != tracked_.end(); ++it) {
    if (it->id != id) continue;
    tracked_.erase(it);
    return;
  }
}

void Processes::KillAll() {
  std::vector<Exit> exits;
  while (true) {
    const bool some = kill(-1, SIGKILL) == 0;
    int status;
    rusage usage;
    const pid_t pid = wait4(-1, &status, 0, &usage);
    if (pid > 0) Note(pid, status, usage, &exits);
    if (pid < 0 && errno == ECHILD && !some) return;
  }
}

void Processes::Note(pid_t pid, int status, const rusage& usage, std::vector<Exit>* exits) {
  for (auto it = tracked_.begin(); it != tracked_.end(); ++it) {
    if (it->pid != pid || it->ended) continue;
    if (it->is_line) {
      it->ended = true;
      [[maybe_unused]] const ssize_t ignored = write(it->life.get(), &status, sizeof status);
      it->life.reset();
    } else {
      const uint64_t used = file_systems_.UsedBytes();
      exits->push_back({it->id, status, CpuMicroseconds(usage),
                        used - std::min(used, it->used_bytes_before),
                        static_cast<uint64_t>(usage.ru_maxrss), it->hit_cpu_limit,
                        status != 0 && file_systems_.AnyIsFull()});
      tracked_.erase(it);
    }
    return;
  }
}

std::vector<Processes::Exit> Processes::Reap() {
  std::vector<Exit> exits;
  while (true) {
    int status;
    rusage usage;
    const pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0) return exits;
    Note(pid, status, usage, &exits);
  }
}

int Processes::EnforceTimes() {
  int64_t next = -1;
  const int64_t now = NowMs();
  for (Tracked& process : tracked_) {
    if (process.cpu_us_max == 0) continue;
    if (now >= next_cpu_look_ms_) {
      cpu_us_inside_ = CpuMicrosecondsInside();
      next_cpu_look_ms_ = now + kTickLookMs;
    }
    if (cpu_us_inside_ < process.cpu_us_max) {
      next = next_cpu_look_ms_ - now;
      continue;
    }
    process.cpu_us_max = 0;
    process.hit_cpu_limit = true;
    Kill(process);
  }
  for (Tracked& process : tracked_) {
    if (process.deadline_ms == 0) continue;
    if (process.deadline_ms <= now) {
      process.deadline_ms = 0;
      Kill(process);
    } else if (next < 0 || process.deadline_ms - now < next) {
      next = process.deadline_ms - now;
    }
  }
  return next > 1'000'000 ? 1'000'000 : static_cast<int>(next);
}

void Processes::DrainError(Tracked& process) {
  char buffer[65536];
  // Bounded: an endless writer must not keep the agent here.
  for (int round = 0; round < 64; ++round) {
    const ssize_t size = read(process.error.get(), buffer, sizeof buffer);
    if (size == 0) process.error.reset();
    if (size <= 0) break;
    process.error_tail.append(buffer, static_cast<size_t>(size));
    if (process.error_tail.size() > 2 * kLineBytesMax) {
      process.error_tail.erase(0, process.error_tail.size() - kLineBytesMax);
    }
  }
}

}  // namespace taskmint::sandbox
