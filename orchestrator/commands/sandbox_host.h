// The sandboxes of a command: one door, so that what the user lets pass holds everywhere.
#ifndef TASKMINT_ORCHESTRATOR_COMMANDS_SANDBOX_HOST_H_
#define TASKMINT_ORCHESTRATOR_COMMANDS_SANDBOX_HOST_H_

#include <memory>

#include "orchestrator/command_line.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// Adds --sandbox-weak, an option of all commands.
void AddSandboxWeak(Command root);

// sandbox::MakeBubblewrapHost as the user wants it; says on standard error which walls are missing.
Result<std::unique_ptr<sandbox::SandboxHost>> MakeSandboxHost();

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMANDS_SANDBOX_HOST_H_
