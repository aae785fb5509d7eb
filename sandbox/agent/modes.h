// The lives of this program: outside, once for all sandboxes (staging: MakeStaging) and on the way
// into each (launch), and inside (serve).
#ifndef TASKMINT_SANDBOX_AGENT_MODES_H_
#define TASKMINT_SANDBOX_AGENT_MODES_H_

#include <string>
#include <vector>

namespace taskmint::sandbox {

// Outside, before bubblewrap. Arguments, each at most once but those of steps and --join:
//   --parent PID            ends at once when its parent is not PID any more
//   --join PATH             writes itself into this file of a control group
//   --clocks SECONDS        sets the monotonic and the boot clock inside to this, in a time
//                           namespace; where the kernel refuses one, they stay the machine's
//   --staging FD            builds a root in a copy of this mount namespace (agent/staging.h)
//   --owner FD              the user namespace that it belongs to, where it is not this one
//   --shared-memory OPTIONS makes /dev, with a tmpfs of these options at /dev/shm
//   --link|--folder|--data|--staged|--show|--own|--below|--memory|--hide-folder|--hide-file|
//   --seal|--layers PLACE   a step (root_builder.h), with what comes before it of
//   --source TEXT, --base PATH, --mode OCTAL, --layer-folder PATH, --layer-image PATH
//   --uid N                 drops to this user and group, with no others
//   -- PROGRAM ARGV         is executed then
// Returns only on failure, which it writes to standard error.
int Launch(const std::vector<std::string>& arguments);

// Inside, as PID 1. Arguments: control socket, and the limits of a process (processes, address
// bytes, file bytes, open files; 0: none), the proxy's socket or an empty string, and
// "second-wall" for RaiseSecondWall or anything else.
int Serve(const std::vector<std::string>& arguments);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_MODES_H_
