// Where episodes are opened, played, graded and closed: many at once, each with a lease.
#ifndef TASKMINT_ORCHESTRATOR_EPISODE_DESK_H_
#define TASKMINT_ORCHESTRATOR_EPISODE_DESK_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "datasets/store.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

struct EpisodeLimits {
  // Open at once, with those that are being opened and closed.
  int64_t episodes_max = 2048;
  // Open and Grade at once, which are work of this machine; 0: two for each processor. Sixteen
  // times as many, at most 256, wait for their turn, in order and at most two seconds.
  int64_t calls_max = 0;
  // CallTool at once: each is a thread that mostly waits for what an agent started, and that is
  // held by the limits of its sandbox. Some more wait, as above.
  int64_t tool_calls_max = 512;
  // An episode without a call is closed after this.
  int64_t idle_ms_max = 600'000;
  // Any episode is closed after this.
  int64_t lifetime_ms_max = 4 * int64_t{3'600'000};
};

struct OpenedEpisode {
  // 32 hexadecimal digits from the kernel's randomness: who knows it may act.
  std::string id;
  // The public part: prompt, tools, environment; no solution, no verifier.
  v1::Task task;
  int64_t idle_ms_max = 0;
};

// Episodes on real sandboxes, each closed when it is idle for too long or too old. What is loaded
// of a task is shared by its episodes, and of sandboxes that are asked for again a few are open
// ahead. Thread-safe; calls of different episodes run side by side.
// Errors beside those of Episode: NOT_FOUND (agent) for an episode that is unknown, closed or
// expired, and says which; RESOURCE_EXHAUSTED (agent) beyond the limits, at once or after a short
// wait, with what to do; ABORTED (agent) while another call of the same episode runs; CANCELLED by
// the token, or by Close from another thread.
class EpisodeDesk {
 public:
  // Raises this process's soft limit of open files to the hard one, and lowers episodes_max to what
  // that allows.
  EpisodeDesk(datasets::Store& store, sandbox::SandboxHost& sandboxes, const Clock& clock,
              EpisodeLimits limits);
  // Stops what runs and closes everything.
  ~EpisodeDesk();
  EpisodeDesk(const EpisodeDesk&) = delete;
  EpisodeDesk& operator=(const EpisodeDesk&) = delete;

  // `task_id`: an id or its first digits; errors of LoadTask. `idle_ms_max`: 0 is the limit's;
  // never above it. Where `stop` comes while it is opened, it is closed again: CANCELLED.
  Result<OpenedEpisode> Open(const std::string& task_id, const std::string& actor,
                             int64_t idle_ms_max, std::stop_token stop);
  // See Episode::Call. A stopped call ends what it ran, and the episode goes on.
  Result<v1::Step> CallTool(const std::string& episode_id, const std::string& tool,
                            const std::string& arguments_json, std::stop_token stop);
  // See Episode::Grade. Kept in the store where it can be written; a store that cannot take it is
  // a warning in the log.
  Result<v1::Trajectory> Grade(const std::string& episode_id, std::stop_token stop);
  // Ends a running call, and the sandbox. Waits until it is gone.
  Status Close(const std::string& episode_id);
  // How many are open.
  int64_t open() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EPISODE_DESK_H_
