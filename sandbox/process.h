// Starting programs of the host: the one place that forks.
#ifndef TASKMINT_SANDBOX_PROCESS_H_
#define TASKMINT_SANDBOX_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// A child of this process. Move-only; destroying it kills and reaps it.
class ChildProcess {
 public:
  ChildProcess() = default;
  explicit ChildProcess(pid_t pid);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // SIGKILL, also for its process group where it leads one. Nothing when it was reaped already.
  void Kill();
  // Waits at most `wall_ms` milliseconds for the end and reaps; false when it still runs.
  bool Wait(int64_t wall_ms);
  // The wait status, once Wait said true.
  int status() const { return status_; }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  UniqueFd pidfd_;
};

struct SpawnRequest {
  // Absolute path of the program, then argv.
  std::string program;
  std::vector<std::string> arguments;
  // "NAME=value"; nothing else of this process's environment is passed on.
  std::vector<std::string> variables;
  // Descriptors that the child keeps, under their numbers. All others are closed at exec.
  std::vector<int> kept_fds;
  // Standard output and error; -1: /dev/null. Standard input is /dev/null.
  int output_fd = -1;
  int error_fd = -1;
};

// Starts a program from one thread that lives as long as this process, so that the child's
// PR_SET_PDEATHSIG means the death of the process and not of the caller's thread. Thread-safe.
// UNAVAILABLE (sandbox) when it cannot be started.
Result<ChildProcess> Spawn(const SpawnRequest& request);

// Runs a program of the host to its end and returns its standard output; for questions to tools.
// UNAVAILABLE when it cannot be started or ends otherwise than with 0, DEADLINE_EXCEEDED.
Result<std::string> OutputOf(const std::vector<std::string>& argv, int64_t wall_ms);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PROCESS_H_
