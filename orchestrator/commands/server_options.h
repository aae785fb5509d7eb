// --server and what belongs to it, the same for every command that can work remotely.
#ifndef TASKMINT_ORCHESTRATOR_COMMANDS_SERVER_OPTIONS_H_
#define TASKMINT_ORCHESTRATOR_COMMANDS_SERVER_OPTIONS_H_

#include "orchestrator/command_line.h"
#include "orchestrator/serving/remote_server.h"

namespace taskmint::orchestrator {

// Behind AddStoreOption: the two exclude one another.
void AddServerOptions(Command& command, RemotePlace& place);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMANDS_SERVER_OPTIONS_H_
