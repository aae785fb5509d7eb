// The two lives of this program: outside, on the way in (launch), and inside (serve).
#ifndef TASKMINT_SANDBOX_AGENT_MODES_H_
#define TASKMINT_SANDBOX_AGENT_MODES_H_

#include <string>
#include <vector>

namespace taskmint::sandbox {

// Outside, before bubblewrap. Arguments, each at most once but those of stages and --join:
//   --parent PID            ends at once when its parent is not PID any more
//   --join PATH             writes itself into this cgroup.procs
//   --clocks SECONDS        sets the monotonic and the boot clock inside to this, in a time
//                           namespace; where the kernel refuses one, they stay the machine's
//   --stage PATH            binds PATH to /tmp/N in a private mount namespace, N counting from 0
//   --stage-own PATH        the same, and hands the folder to the slot's user
//   --stage-tmpfs OPTIONS   a file system in memory there
//   --base PATH             the folder of those that follow:
//   --stage-below PATH      binds what has this relative path in it, if no part is a link
//   --layer-folder PATH, --layer-image PATH
//                           the layers of the one that follows, lowest first:
//   --stage-layers OPTIONS  one folder of them: what is written over them goes into a tmpfs
//                           with these options; read-only where they are empty
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
