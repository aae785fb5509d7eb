// `taskmint synth code --server`: jobs on a server instead of runs here.
#ifndef TASKMINT_ORCHESTRATOR_COMMANDS_SYNTH_REMOTE_H_
#define TASKMINT_ORCHESTRATOR_COMMANDS_SYNTH_REMOTE_H_

#include <string>
#include <vector>

#include "orchestrator/minting.h"
#include "orchestrator/serving/remote_server.h"

namespace taskmint::orchestrator {

// Submits a job for each source, a local repository as a bundle, and tells of it until it ends.
// Ctrl-C cancels the job in hand. Returns the command's exit code.
int SynthRemotely(const RemotePlace& place, const MintRequest& request,
                  const std::vector<std::string>& sources, bool json);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMANDS_SYNTH_REMOTE_H_
