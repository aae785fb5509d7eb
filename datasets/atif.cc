#include "datasets/atif.h"

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "datasets/tool_definitions.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

// "2026-03-01T12:00:00.250Z"; empty where there is no time, or none that ISO 8601 can write.
std::string TimestampOfMs(int64_t ms) {
  constexpr int64_t kYear10000Ms = 253'402'300'800'000;
  if (ms <= 0 || ms >= kYear10000Ms) return "";
  const auto seconds = static_cast<time_t>(ms / 1'000);
  tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return "";
  char date[32];
  const size_t length = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(ms % 1'000));
  return std::string(date, length) + fraction;
}

nlohmann::json BeginStep(const nlohmann::json& steps, const char* source,
                         const std::string& message, int64_t started_ms) {
  nlohmann::json step = {
      {"step_id", steps.size() + 1}, {"source", source}, {"message", ToUtf8(message)}};
  if (std::string timestamp = TimestampOfMs(started_ms); !timestamp.empty()) {
    step["timestamp"] = std::move(timestamp);
  }
  return step;
}

nlohmann::json CallJson(const v1::Step& step, const std::string& id) {
  nlohmann::json call = {{"tool_call_id", id}, {"function_name", ToUtf8(step.tool())}};
  auto arguments = ParseJson(step.arguments_json());
  if (arguments.ok() && arguments->is_object()) {
    call["arguments"] = *std::move(arguments);
  } else {
    call["arguments"] = nlohmann::json::object();
    if (!step.arguments_json().empty()) {
      call["extra"] = {{"arguments_text", ToUtf8(step.arguments_json())}};
    }
  }
  return call;
}

nlohmann::json ResultJson(const v1::Step& step, const std::string& id) {
  nlohmann::json extra = {{"wall_ms", step.wall_ms()},
                          {"failed", step.failed()},
                          {"cut", step.cut()},
                          {"masked_observation_digest", ToUtf8(step.masked_observation_digest())}};
  if (!IsUtf8(step.observation())) extra["not_utf8"] = true;
  return {
      {"source_call_id", id}, {"content", ToUtf8(step.observation())}, {"extra", std::move(extra)}};
}

nlohmann::json RewardJson(const v1::Verdict& verdict) {
  const auto reward = [&](const char* state, bool scored) {
    nlohmann::json json = {{"state", state},
                           {"reason", ToUtf8(verdict.reason())},
                           {"digest", ToUtf8(verdict.digest())}};
    if (scored) json["score"] = verdict.score();
    return json;
  };
  switch (verdict.state()) {
    case v1::Verdict::STATE_PASS:
      return reward("pass", true);
    case v1::Verdict::STATE_FAIL:
      return reward("fail", true);
    case v1::Verdict::STATE_FORGED:
      return reward("forged", true);
    case v1::Verdict::STATE_NO_VERDICT:
      return reward("no-verdict", false);
    default:
      return nullptr;
  }
}

std::string CategoryText(v1::Category category) {
  switch (category) {
    case v1::CATEGORY_CODE:
      return "code";
    case v1::CATEGORY_SEARCH:
      return "search";
    case v1::CATEGORY_INTERPRETER:
      return "interpreter";
    case v1::CATEGORY_GENERAL:
      return "general";
    default:
      return "";
  }
}

nlohmann::json ExtraJson(const v1::Task& task, const v1::Trajectory& trajectory) {
  const nlohmann::json of_task = {{"id", ToUtf8(trajectory.task_id())},
                                  {"category", CategoryText(task.category())},
                                  {"language", ToUtf8(task.language())},
                                  {"source", ToUtf8(task.provenance().source())},
                                  {"commit", ToUtf8(task.provenance().parent_commit())},
                                  {"licence", ToUtf8(task.licence().spdx_id())}};
  return {{"taskmint",
           {{"task", of_task},
            {"reward", RewardJson(trajectory.verdict())},
            {"final_state_digest", ToUtf8(trajectory.final_state_digest())}}}};
}

}  // namespace

std::string ToAtif(const v1::Task& task, const v1::Trajectory& trajectory,
                   const AtifFraming& framing) {
  nlohmann::json steps = nlohmann::json::array();
  const int64_t opened_ms = trajectory.started_ms();
  if (!framing.system.empty()) {
    steps.push_back(BeginStep(steps, "system", framing.system, opened_ms));
  }
  steps.push_back(BeginStep(steps, "user", task.prompt().text(), opened_ms));
  for (int i = 0; i < trajectory.steps_size(); ++i) {
    const v1::Step& record = trajectory.steps(i);
    const std::string id = "call_" + std::to_string(i + 1);
    nlohmann::json step = BeginStep(steps, "agent", "", record.started_ms());
    step["tool_calls"] = nlohmann::json::array({CallJson(record, id)});
    step["observation"] = {{"results", nlohmann::json::array({ResultJson(record, id)})}};
    steps.push_back(std::move(step));
  }
  const std::string digest = Sha256Hex(SerializeDeterministic(trajectory));
  const std::string& actor = trajectory.actor();
  const size_t total_steps = steps.size();
  return DumpJson({{"schema_version", "ATIF-v1.7"},
                   {"session_id", digest.substr(0, 32)},
                   {"trajectory_id", digest},
                   {"agent",
                    {{"name", actor.empty() ? "unknown" : ToUtf8(actor)},
                     {"version", ToUtf8(framing.agent_version)},
                     {"tool_definitions", ToolDefinitions(task)}}},
                   {"steps", std::move(steps)},
                   {"final_metrics", {{"total_steps", total_steps}}},
                   {"extra", ExtraJson(task, trajectory)}},
                  true) +
         "\n";
}

}  // namespace taskmint::datasets
