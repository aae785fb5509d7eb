// ATIF v1.7, the trajectory format of the Harbor project (rfcs/0001-trajectory-format.md).
#ifndef TASKMINT_DATASETS_ATIF_H_
#define TASKMINT_DATASETS_ATIF_H_

#include <string>

#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"

namespace taskmint::datasets {

// What a trajectory's record does not say.
struct AtifFraming {
  // The system message that the agent had before the prompt; empty: it had none.
  std::string system;
  // Version of the agent; ATIF demands one.
  std::string agent_version = "unknown";
};

// One JSON object, indented, with a line break at the end. Step 1 is the system message where there
// is one, then the prompt as the user's step, then a step of the agent a tool call, with what came
// back as its observation. `agent.name` is the actor ("unknown" when empty), `trajectory_id` the
// SHA-256 of the record, `session_id` the first 32 digits of it.
//
// ATIF's models forbid unknown keys, so what they have no field for stands in `extra`. In the
// root's, under `taskmint`: `task` (id, category, language, source, commit that the agent saw,
// licence), `reward` (state "pass", "fail", "forged" or "no-verdict", reason, digest, and a score
// unless there is no verdict; null while it was not graded) and `final_state_digest`. In a
// result's: wall_ms, failed, cut, masked_observation_digest. Arguments that are no JSON object
// become {}, with the text in the call's `extra.arguments_text`. An observation that is not UTF-8
// has U+FFFD for what is malformed, and `not_utf8` in its `extra`. Times are ISO 8601 in UTC, to
// the millisecond, left out where they are 0. The agent's own words are not recorded: its messages
// are empty. The reference solution and the verifier are no part of it. Pure, deterministic, and
// never fails, whatever the records hold.
std::string ToAtif(const v1::Task& task, const v1::Trajectory& trajectory,
                   const AtifFraming& framing = {});

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_ATIF_H_
