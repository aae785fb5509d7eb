// What this machine needs to mint tasks, as found; for `taskmint doctor`.
#ifndef TASKMINT_ORCHESTRATOR_MACHINE_H_
#define TASKMINT_ORCHESTRATOR_MACHINE_H_

#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// Isolation, git and python3 (sandbox::ExamineHost), uv, compilers, how the network is reached,
// whether the store can be written.
std::vector<sandbox::Finding> ExamineMachine(const std::string& store_folder);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_MACHINE_H_
