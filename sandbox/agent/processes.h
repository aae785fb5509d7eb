// The agent's processes: starting, reaping, killing.
#ifndef TASKMINT_SANDBOX_AGENT_PROCESSES_H_
#define TASKMINT_SANDBOX_AGENT_PROCESSES_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "sandbox/agent/usage.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// Set for every process before its exec; the agent itself stays free of them. 0: left as it is.
struct ProcessLimits {
  uint64_t processes = 0;
  uint64_t address_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t open_files = 0;
};

// Of one process and what it starts. 0: none.
struct TimeLimits {
  int64_t wall_ms = 0;
  int64_t cpu_ms = 0;
};

struct ProcessRequest {
  std::vector<std::string> argv;
  std::vector<std::string> variables;
  std::string folder;
  UniqueFd input;
  UniqueFd output;
  UniqueFd error;
};

// Monotonic milliseconds.
int64_t NowMs();

// What the agent started and has not forgotten. Everything else inside are orphans, which are
// reaped and forgotten. One thread.
class Processes {
 public:
  struct Tracked {
    uint64_t id = 0;
    pid_t pid = 0;
    bool is_line = false;
    bool ended = false;
    int64_t deadline_ms = 0;  // 0: none
    uint64_t cpu_us_max = 0;  // of all that runs inside, counted from the beginning; 0: none
    bool hit_cpu_limit = false;
    uint64_t used_bytes_before = 0;  // of the file systems
    UniqueFd life;                   // line processes: gets the wait status, then end of file
    UniqueFd error;                  // line processes: read end of their standard error
    std::string error_tail;
  };
  struct Exit {
    uint64_t id;
    int status;
    uint64_t cpu_us;
    uint64_t filled_bytes;  // by which the file systems grew
    uint64_t resident_kib;
    bool hit_cpu_limit;
    bool file_system_full;  // where it failed
  };

  // `score` is /proc/self/oom_score_adj, opened while that was the agent's to write.
  Processes(const ProcessLimits& limits, UniqueFd score);

  // The new process, or null with errno set, and `folder_failed` when it was the folder's fault.
  Tracked* Start(ProcessRequest request, bool is_line, const TimeLimits& times,
                 bool* folder_failed);
  Tracked* Find(uint64_t id);
  // Kills a command and, unless a line process lives beside it, whatever else it left running.
  void Kill(const Tracked& process);
  // Sends a signal to a line process and its group.
  void Signal(uint64_t id, int number);
  // Kills a line process likewise, waits for it and forgets it.
  void Stop(uint64_t id);
  // Kills everything but the agent and waits.
  void KillAll();
  // Takes every zombie; returns the ended commands, which are forgotten.
  std::vector<Exit> Reap();
  // Kills commands beyond their wall or CPU time; milliseconds until it is to be called again, -1
  // for whenever something happens.
  int EnforceTimes();
  // Reads what a line process wrote to its standard error.
  static void DrainError(Tracked& process);
  std::list<Tracked>& all() { return tracked_; }

 private:
  void SetScore(const std::string& score) const;
  void Note(pid_t pid, int status, const rusage& usage, std::vector<Exit>* exits);

  ProcessLimits limits_;
  const UniqueFd score_;
  std::string own_score_;
  const WritableFileSystems file_systems_;
  uint64_t next_id_ = 1;
  uint64_t cpu_us_inside_ = 0;
  int64_t next_cpu_look_ms_ = 0;
  std::list<Tracked> tracked_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_PROCESSES_H_
