// Tools in the form of OpenAI's chat API, which ATIF takes as well.
#ifndef TASKMINT_DATASETS_TOOL_DEFINITIONS_H_
#define TASKMINT_DATASETS_TOOL_DEFINITIONS_H_

#include <nlohmann/json_fwd.hpp>

#include "proto/task.pb.h"

namespace taskmint::datasets {

// [{"type": "function", "function": {"name", "description", "parameters"}}, ...] in the task's
// order. A schema that is no JSON object becomes {"type": "object"}.
nlohmann::json ToolDefinitions(const v1::Task& task);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_TOOL_DEFINITIONS_H_
