#include "datasets/openai_chat.h"

#include <nlohmann/json.hpp>

#include "datasets/tool_definitions.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {

Result<std::string> ToOpenAiChatRow(const v1::Task& task, const v1::Trajectory& trajectory,
                                    const std::string& system) {
  if (trajectory.steps().empty()) {
    return Status(Code::kFailedPrecondition, Boundary::kStore,
                  "a trajectory of task " + task.id() + " has no step: it makes no chat");
  }
  nlohmann::json messages = nlohmann::json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", task.prompt().text()}});
  for (int i = 0; i < trajectory.steps_size(); ++i) {
    const v1::Step& step = trajectory.steps(i);
    const std::string id = "call_" + std::to_string(i + 1);
    const std::string& arguments = step.arguments_json();
    const nlohmann::json call = {
        {"id", id},
        {"type", "function"},
        {"function",
         {{"name", step.tool()}, {"arguments", arguments.empty() ? "{}" : ToUtf8(arguments)}}}};
    messages.push_back({{"role", "assistant"},
                        {"content", nullptr},
                        {"tool_calls", nlohmann::json::array({call})}});
    if (i + 1 == trajectory.steps_size()) break;
    messages.push_back(
        {{"role", "tool"}, {"tool_call_id", id}, {"content", ToUtf8(step.observation())}});
  }
  return AsciiJson({{"messages", std::move(messages)},
                    {"tools", ToolDefinitions(task)},
                    {"parallel_tool_calls", false}}) +
         "\n";
}

}  // namespace taskmint::datasets
