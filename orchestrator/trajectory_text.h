// Verdicts, steps and trajectories as people and programs read them.
#ifndef TASKMINT_ORCHESTRATOR_TRAJECTORY_TEXT_H_
#define TASKMINT_ORCHESTRATOR_TRAJECTORY_TEXT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "proto/trajectory.pb.h"
#include "proto/verdict.pb.h"

namespace taskmint::orchestrator {

// verdict, score (null without one), reason, tests (id, status, role), digest, wall_ms, cpu_ms.
nlohmann::json VerdictJson(const v1::Verdict& verdict);
// tool, arguments (as JSON text), observation (malformed UTF-8 replaced),
// masked_observation_digest, failed, cut, started_ms, wall_ms.
nlohmann::json StepJson(const v1::Step& step);
// id, task_id, actor, started_ms, steps, final_state_digest, and the verdict's.
nlohmann::json TrajectoryJson(const v1::Trajectory& trajectory);

// To standard output: a line, and a table of the tests.
void PrintVerdict(const v1::Verdict& verdict);
// What was called, and what came back, made printable.
void PrintStep(const v1::Step& step);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_TRAJECTORY_TEXT_H_
