// Arguments of a tool call, as an agent wrote them: hostile JSON against the tool's schema.
#ifndef TASKMINT_ENVIRONMENTS_TOOL_ARGUMENTS_H_
#define TASKMINT_ENVIRONMENTS_TOOL_ARGUMENTS_H_

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "proto/base/status.h"
#include "proto/tool.pb.h"

namespace taskmint::environments {

// Longer arguments are refused.
inline constexpr size_t kArgumentsBytesMax = 1 << 20;

// The arguments as a JSON object with the schema's defaults filled in. INVALID_ARGUMENT (tool) says
// what is wrong and what would be right. The schema is one of ours; understood of it: one object
// with properties of type string, integer, number or boolean, `required`, `default`, `minLength`,
// `minimum`, `maximum`, and `additionalProperties` false. Text without any argument stands for the
// empty object.
Result<nlohmann::json> ReadArguments(const v1::Tool& tool, std::string_view arguments_json);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_TOOL_ARGUMENTS_H_
