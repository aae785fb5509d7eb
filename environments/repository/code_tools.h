// The tools of a code task, as records: bash, read_file, edit_file, submit.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CODE_TOOLS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CODE_TOOLS_H_

#include <vector>

#include "proto/tool.pb.h"

namespace taskmint::environments {

// In this order; part of every code task's id, so any change gives new ids.
std::vector<v1::Tool> CodeTools();

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CODE_TOOLS_H_
