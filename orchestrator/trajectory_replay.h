// Running a trajectory again: `taskmint trajectory replay`.
#ifndef TASKMINT_ORCHESTRATOR_TRAJECTORY_REPLAY_H_
#define TASKMINT_ORCHESTRATOR_TRAJECTORY_REPLAY_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "orchestrator/episode.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "proto/trajectory.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

struct TrajectoryReplayReport {
  // Why there is no verdict to compare; empty when there is one.
  std::string no_verdict;
  // "step 3 (bash): the observation differs ...", "the final state differs", "verdict was pass, is
  // fail: ..."; empty when all agree.
  std::vector<std::string> differences;
  int64_t steps = 0;
  int64_t wall_ms = 0;
  bool agrees() const { return no_verdict.empty() && differences.empty(); }
};

// Makes the same calls in a fresh episode and grades it. Compared are the digests of the masked
// observations, whether each step failed, the final state, and the verdict. A trajectory that was
// never graded is compared as far as it goes. FAILED_PRECONDITION (agent) where one step cannot be
// made because an earlier one ended the episode; CANCELLED by the token; else a failure of the
// machine.
Result<TrajectoryReplayReport> ReplayTrajectory(std::shared_ptr<const LoadedTask> task,
                                                sandbox::SandboxHost& sandboxes,
                                                const v1::Trajectory& trajectory,
                                                const Clock& clock, std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_TRAJECTORY_REPLAY_H_
