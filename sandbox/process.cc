#include "sandbox/process.h"

#define BOOST_POSIX_HAS_VFORK 1  // Linux has, and copies no page tables for it

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/environment.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/io.hpp>
#include <boost/process/posix.hpp>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <queue>
#include <stop_token>
#include <system_error>
#include <thread>

#include "proto/base/clock.h"

namespace taskmint::sandbox {
namespace {

namespace bp = boost::process;

Status Unavailable(std::string message) {
  return {Code::kUnavailable, Boundary::kSandbox, std::move(message)};
}

// One thread for the life of the process: see Spawn.
class Spawner {
 public:
  static Spawner& Instance() {
    static Spawner* const spawner = new Spawner;  // never destroyed: its children outlive statics
    return *spawner;
  }

  Result<ChildProcess> Run(std::function<Result<ChildProcess>()> work) {
    std::packaged_task<Result<ChildProcess>()> task(std::move(work));
    std::future<Result<ChildProcess>> result = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push(std::move(task));
    }
    wake_.notify_one();
    return result.get();
  }

 private:
  Spawner() : thread_([this] { Loop(); }) {}

  [[noreturn]] void Loop() {
    // Signals are for the threads that expect them.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    while (true) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      std::packaged_task<Result<ChildProcess>()> task = std::move(tasks_.front());
      tasks_.pop();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::queue<std::packaged_task<Result<ChildProcess>()>> tasks_;
  std::thread thread_;
};

// Between vfork and exec: a handler of this process's would run in this process's memory.
void ForgetHandlers() {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN ||
        action.sa_handler == SIG_DFL) {
      continue;
    }
    action = {};
    action.sa_handler = SIG_DFL;
    ::sigaction(number, &action, nullptr);
  }
}

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer turns vfork into fork, by which Boost's way of telling errors is lost.
constexpr bp::detail::posix::handler_base_ext kHowToFork{};
#else
constexpr auto& kHowToFork = bp::posix::use_vfork;
#endif

Result<ChildProcess> SpawnHere(const SpawnRequest& request) {
  bp::environment variables;
  for (const std::string& variable : request.variables) {
    const size_t equals = variable.find('=');
    variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  // Runs between vfork and exec, in the memory of this process: system calls only.
  const auto before_exec = [&request](auto&) {
    if (request.output_fd >= 0) ::dup2(request.output_fd, 1);
    if (request.error_fd >= 0) ::dup2(request.error_fd, 2);
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    for (const int fd : request.kept_fds) ::fcntl(fd, F_SETFD, 0);
    ForgetHandlers();
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  };
  std::error_code error;
  bp::child child(bp::exe = request.program, bp::args = request.arguments, variables,
                  bp::std_in<bp::null, bp::std_out> bp::null, bp::std_err > bp::null,
                  bp::extend::on_exec_setup = before_exec, kHowToFork, error);
  if (error) return Unavailable("cannot start " + request.program + ": " + error.message());
  const pid_t pid = child.id();
  child.detach();
  return ChildProcess(pid);
}

}  // namespace

ChildProcess::ChildProcess(pid_t pid)
    : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      status_(other.status_),
      pidfd_(std::move(other.pidfd_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    Kill();
    Wait(10'000);
    pid_ = std::exchange(other.pid_, -1);
    status_ = other.status_;
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  Kill();
  Wait(10'000);
}

void ChildProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);  // nothing where it leads no group
  ::kill(pid_, SIGKILL);
}

bool ChildProcess::Wait(int64_t wall_ms) {
  if (pid_ <= 0) return true;
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + wall_ms;
  while (true) {
    const pid_t reaped = ::waitpid(pid_, &status_, WNOHANG);
    if (reaped == pid_ || (reaped < 0 && errno == ECHILD)) {
      pid_ = -1;
      return true;
    }
    const int64_t left_ms = deadline_ms - clock.MonotonicMs();
    if (left_ms <= 0) return false;
    pollfd ended{pidfd_.get(), POLLIN, 0};
    // Without a pidfd (an old kernel) the wait is by looking again.
    ::poll(&ended, 1, pidfd_.valid() ? static_cast<int>(std::min<int64_t>(left_ms, 60'000)) : 1);
  }
}

Result<ChildProcess> Spawn(const SpawnRequest& request) {
  try {
    return Spawner::Instance().Run([&request]() -> Result<ChildProcess> {
      try {
        return SpawnHere(request);
      } catch (const std::exception& error) {
        return Unavailable("cannot start " + request.program + ": " + error.what());
      }
    });
  } catch (const std::exception& error) {
    return Unavailable(std::string("cannot start a thread: ") + error.what());
  }
}

Result<std::string> OutputOf(const std::vector<std::string>& argv, int64_t wall_ms) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Unavailable("no descriptors are left");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  SpawnRequest request;
  request.program = argv[0];
  request.arguments.assign(argv.begin() + 1, argv.end());
  request.variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  request.output_fd = write_end.get();
  TASKMINT_ASSIGN_OR_RETURN(ChildProcess child, Spawn(request));
  write_end.reset();
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + wall_ms;
  std::string output;
  while (true) {
    const int64_t left_ms = deadline_ms - clock.MonotonicMs();
    pollfd readable{read_end.get(), POLLIN, 0};
    if (left_ms <= 0 || ::poll(&readable, 1, static_cast<int>(left_ms)) == 0) {
      return Status(Code::kDeadlineExceeded, Boundary::kSandbox,
                    argv[0] + " did not end in " + std::to_string(wall_ms) + " ms");
    }
    char buffer[65536];
    const ssize_t size = ::read(read_end.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    output.append(buffer, static_cast<size_t>(size));
  }
  if (!child.Wait(wall_ms)) {
    return Status(Code::kDeadlineExceeded, Boundary::kSandbox, argv[0] + " does not end");
  }
  if (child.status() != 0) {
    return Unavailable(argv[0] + " failed with wait status " + std::to_string(child.status()));
  }
  return output;
}

}  // namespace taskmint::sandbox
