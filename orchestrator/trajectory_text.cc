#include "orchestrator/trajectory_text.h"

#include <nlohmann/json.hpp>

#include "orchestrator/regrade.h"
#include "orchestrator/terminal.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kShownArgumentsMax = 2'000;

// A call as it would be typed.
std::string CallText(const v1::Step& step) {
  const auto arguments = ParseJson(step.arguments_json());
  const std::string command = arguments.ok() ? StringOr(*arguments, "command", "") : "";
  if (step.tool() == "bash" && !command.empty()) return "$ " + command;
  return step.tool() + " " + step.arguments_json();
}

}  // namespace

nlohmann::json VerdictJson(const v1::Verdict& verdict) {
  const bool scored = verdict.state() != v1::Verdict::STATE_NO_VERDICT;
  nlohmann::json tests = nlohmann::json::array();
  for (const v1::TestResult& test : verdict.tests()) {
    tests.push_back(
        {{"id", test.id()}, {"status", TestStatusName(test.status())}, {"role", test.role()}});
  }
  return {{"verdict", VerdictStateName(verdict.state())},
          {"score", scored ? nlohmann::json(verdict.score()) : nlohmann::json()},
          {"reason", verdict.reason()},
          {"tests", std::move(tests)},
          {"digest", verdict.digest()},
          {"wall_ms", verdict.wall_ms()},
          {"cpu_ms", verdict.cpu_ms()}};
}

nlohmann::json StepJson(const v1::Step& step) {
  return {{"tool", step.tool()},
          {"arguments", step.arguments_json()},
          {"observation", ToUtf8(step.observation())},
          {"masked_observation_digest", step.masked_observation_digest()},
          {"failed", step.failed()},
          {"cut", step.cut()},
          {"started_ms", step.started_ms()},
          {"wall_ms", step.wall_ms()}};
}

nlohmann::json TrajectoryJson(const v1::Trajectory& trajectory) {
  nlohmann::json json = VerdictJson(trajectory.verdict());
  json["id"] = TrajectoryId(trajectory);
  json["task_id"] = trajectory.task_id();
  json["actor"] = trajectory.actor();
  json["started_ms"] = trajectory.started_ms();
  json["final_state_digest"] = trajectory.final_state_digest();
  json["steps"] = nlohmann::json::array();
  for (const v1::Step& step : trajectory.steps()) json["steps"].push_back(StepJson(step));
  return json;
}

void PrintVerdict(const v1::Verdict& verdict) {
  const bool pass = verdict.state() == v1::Verdict::STATE_PASS;
  std::string line = Tinted(VerdictStateName(verdict.state()), pass ? Tint::kGreen : Tint::kRed);
  if (verdict.state() != v1::Verdict::STATE_NO_VERDICT) {
    line += ", score " + nlohmann::json(verdict.score()).dump();
  }
  if (!verdict.reason().empty()) line += ": " + Printable(verdict.reason());
  PrintOut(line + "\n");
  if (verdict.tests().empty()) return;
  Table table({"STATUS", "ROLE", "TEST"});
  for (const v1::TestResult& test : verdict.tests()) {
    table.Add({TestStatusName(test.status()), test.role(), test.id()},
              test.status() == v1::TEST_STATUS_PASSED ? Tint::kNone : Tint::kRed);
  }
  table.Print();
}

void PrintStep(const v1::Step& step) {
  PrintOut(Tinted(Printable(CutMiddle(CallText(step), kShownArgumentsMax)), Tint::kBold) + "\n" +
           Printable(step.observation()));
}

}  // namespace taskmint::orchestrator
