// The tools of a code task, as records: bash, read_file, edit_file, submit.
#ifndef TASKMINT_ORCHESTRATOR_CODE_TOOLS_H_
#define TASKMINT_ORCHESTRATOR_CODE_TOOLS_H_

#include <vector>

#include "proto/tool.pb.h"

namespace taskmint::orchestrator {

// In this order; part of every code task's id, so any change gives new ids.
std::vector<v1::Tool> CodeTools();

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_CODE_TOOLS_H_
