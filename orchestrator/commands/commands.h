// The commands, one file each. Each function adds its command to the line; the targets of its
// options live as long as the process.
#ifndef TASKMINT_ORCHESTRATOR_COMMANDS_COMMANDS_H_
#define TASKMINT_ORCHESTRATOR_COMMANDS_COMMANDS_H_

#include "orchestrator/command_line.h"

namespace taskmint::orchestrator {

void AddSynth(Command root);
void AddList(Command root);
void AddShow(Command root);
void AddStats(Command root);
void AddVerify(Command root);
void AddReplay(Command root);
void AddServe(Command root);
void AddAudit(Command root);
void AddExport(Command root);
void AddImport(Command root);
void AddPlay(Command root);
void AddTrajectory(Command root);
void AddStore(Command root);
void AddSandbox(Command root);
void AddDoctor(Command root);

// Below `sandbox`.
void AddSandboxAttack(Command sandbox);
void AddSandboxBench(Command sandbox);

// --store DIR, the same for all of them.
void AddStoreOption(Command& command, std::string& folder);
// What a command that is told to the user needs to find that store: " --store 'DIR'", or nothing
// for the default.
std::string StoreArgument(const std::string& folder);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMANDS_COMMANDS_H_
