// One episode: a task, its world, the trajectory so far, and how it is graded.
#ifndef TASKMINT_ORCHESTRATOR_EPISODE_H_
#define TASKMINT_ORCHESTRATOR_EPISODE_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "datasets/store.h"
#include "environments/repository/code_world.h"
#include "environments/world.h"
#include "orchestrator/bench.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// A kept task with all that acting and grading need, loaded. Shared by its episodes.
struct LoadedTask {
  v1::Candidate kept;
  TaskBench bench;
};

// By id or prefix. NOT_FOUND; FAILED_PRECONDITION for what was not kept, what this version cannot
// play, and where the base differs from the one that the task was minted on: acting would end
// without a verdict. Costs the reading of the trees, and the unpacking of layers where the machine
// does not have them.
Result<std::shared_ptr<const LoadedTask>> LoadTask(datasets::Store& store,
                                                   sandbox::SandboxHost& sandboxes,
                                                   const std::string& id, std::stop_token stop);
// The same for one that was found already.
Result<std::shared_ptr<const LoadedTask>> LoadTask(datasets::Store& store,
                                                   sandbox::SandboxHost& sandboxes,
                                                   v1::Candidate kept, std::stop_token stop);

// What an agent may know of a task: id, category, language, prompt, environment, tools, licence.
v1::Task PublicPart(const v1::Task& task);

// The world in which the task is played, as before the fix.
Result<std::unique_ptr<environments::CodeWorld>> OpenWorld(sandbox::SandboxHost& sandboxes,
                                                           const LoadedTask& task,
                                                           std::stop_token stop);

// Calls and their observations, recorded beyond which an episode takes no more calls.
inline constexpr int64_t kTrajectoryBytesMax = int64_t{32} << 20;

// An agent's path through one world. Not thread-safe.
class Episode {
 public:
  // `actor`: who acts, backend and settings.
  Episode(std::shared_ptr<const LoadedTask> task, std::unique_ptr<environments::World> world,
          const std::string& actor, const Clock& clock);

  // Calls a tool and records the step, whatever came of it: wrong arguments, failing commands and
  // interrupted ones are steps with `failed`. Malformed UTF-8 in the call becomes U+FFFD before
  // anything looks at it. FAILED_PRECONDITION (agent) after submit or Grade, RESOURCE_EXHAUSTED
  // (agent) when the trajectory is full, CANCELLED when stopped before it began; else a failure of
  // the machine, and the episode is lost.
  Result<v1::Step> Call(const std::string& tool, const std::string& arguments_json,
                        std::stop_token stop);

  // Ends acting and judges the final state in fresh sandboxes, as GradeSolution judges a patch. A
  // state that cannot be taken out of the world is a fail when that is the agent's doing, and no
  // verdict when it is the machine's. Called again it returns the same, and judges only where the
  // first call was stopped (CANCELLED).
  Result<v1::Trajectory> Grade(std::stop_token stop);

  bool acting() const { return state_ == State::kActing; }
  const v1::Trajectory& trajectory() const { return trajectory_; }
  const LoadedTask& task() const { return *task_; }

 private:
  enum class State { kActing, kSubmitted, kGraded };

  std::shared_ptr<const LoadedTask> task_;
  std::unique_ptr<environments::World> world_;  // gone once graded
  const Clock& clock_;
  v1::Trajectory trajectory_;
  int64_t recorded_bytes_ = 0;
  State state_ = State::kActing;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EPISODE_H_
