// Where an agent acts: tools over something that changes, and the state that is left at the end.
#ifndef TASKMINT_ENVIRONMENTS_WORLD_H_
#define TASKMINT_ENVIRONMENTS_WORLD_H_

#include <cstdint>
#include <stop_token>
#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::environments {

// What a tool call gave. A command that fails and arguments that are wrong are outcomes, too: the
// agent reads what is wrong and goes on.
struct ToolOutcome {
  // What the agent sees; any bytes, at most kObservationBytesMax and a line about what was cut.
  std::string observation;
  // The call was refused, or the command ended otherwise than by exit code 0.
  bool failed = false;
  // The observation is not the whole output; it says what was left out.
  bool cut = false;
  // The agent has submitted: there is nothing left to call.
  bool ended = false;
  // Milliseconds. `cpu_ms` is that of what ran inside.
  int64_t wall_ms = 0;
  int64_t cpu_ms = 0;
};

inline constexpr int64_t kObservationBytesMax = 32 << 10;

// One world for one episode. Requirements on an implementation:
//   1. Calls are isolated: nothing outside the world can tell that it was there, and everything in
//      it ends with it, however this process dies.
//   2. Equal calls in equal order give equal observations, but for what MaskObservation masks.
//   3. Whatever an agent sends or does is a ToolOutcome. A Status means that the machine failed;
//      after one of the sandbox boundary the world is unusable.
// One thread uses it at a time.
class World {
 public:
  // Ends everything inside, and waits until it has ended.
  virtual ~World() = default;

  // Calls a tool of the task. `stop` ends what the call runs, and the outcome says so; the world
  // stays usable.
  virtual Result<ToolOutcome> Call(const std::string& tool, const std::string& arguments_json,
                                   std::stop_token stop) = 0;

  // Ends what is still running and takes the final state out, as files. A state that cannot be
  // taken out is the agent's own doing (environment boundary, says what is wrong with it) or the
  // machine's (sandbox boundary). May be called again.
  virtual Result<FileTree> FinalTree(std::stop_token stop) = 0;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_WORLD_H_
