#include "datasets/tool_definitions.h"

#include <nlohmann/json.hpp>

#include "proto/base/json.h"

namespace taskmint::datasets {

nlohmann::json ToolDefinitions(const v1::Task& task) {
  nlohmann::json definitions = nlohmann::json::array();
  for (const v1::Tool& tool : task.tools()) {
    auto parameters = ParseJson(tool.parameters_json_schema());
    const bool usable = parameters.ok() && parameters->is_object();
    definitions.push_back(
        {{"type", "function"},
         {"function",
          {{"name", tool.name()},
           {"description", tool.description()},
           {"parameters", usable ? *std::move(parameters) : nlohmann::json{{"type", "object"}}}}}});
  }
  return definitions;
}

}  // namespace taskmint::datasets
