// Trajectories as ATIF and as chat rows: what readers of these formats demand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "datasets/atif.h"
#include "datasets/openai_chat.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

v1::Task SampleTask() {
  v1::Task task;
  task.set_id(Sha256Hex("task"));
  task.set_category(v1::CATEGORY_CODE);
  task.set_language("python");
  task.mutable_prompt()->set_text("The parser drops the last line.\n\"Quoted\" \u00e9");
  v1::Tool& bash = *task.add_tools();
  bash.set_name("bash");
  bash.set_description("Run a command.");
  bash.set_parameters_json_schema(R"({"type":"object","properties":{"command":{}}})");
  v1::Tool& broken = *task.add_tools();
  broken.set_name("submit");
  broken.set_parameters_json_schema("{");
  task.mutable_provenance()->set_source("https://example.org/a");
  task.mutable_provenance()->set_commit("fix-commit");
  task.mutable_provenance()->set_parent_commit("parent-commit");
  task.mutable_licence()->set_spdx_id("MIT");
  task.mutable_solution()->set_patch_digest(Sha256Hex("the fix"));
  task.mutable_verifier()->mutable_tests()->add_fail_to_pass("tests/test_secret.py::test_it");
  return task;
}

void AddStep(v1::Trajectory& trajectory, const std::string& tool, const std::string& arguments,
             const std::string& observation) {
  v1::Step& step = *trajectory.add_steps();
  step.set_tool(tool);
  step.set_arguments_json(arguments);
  step.set_observation(observation);
  step.set_masked_observation_digest(Sha256Hex(observation));
  step.set_started_ms(1'772'366'400'000 + trajectory.steps_size() * 1'250);
  step.set_wall_ms(12);
}

v1::Trajectory SampleTrajectory() {
  v1::Trajectory trajectory;
  trajectory.set_task_id(SampleTask().id());
  trajectory.set_actor("openai:some-model");
  trajectory.set_started_ms(1'772'366'400'250);
  AddStep(trajectory, "bash", R"({"command":"ls \"a b\"","timeout_s":5})", "a.py\n");
  AddStep(trajectory, "bash", "not json", std::string("caf\xE9\0 \x1B[31m", 11));
  trajectory.mutable_steps(1)->set_failed(true);
  trajectory.mutable_steps(1)->set_cut(true);
  AddStep(trajectory, "submit", "", "submitted");
  trajectory.set_final_state_digest(Sha256Hex("state"));
  trajectory.mutable_verdict()->set_state(v1::Verdict::STATE_PASS);
  trajectory.mutable_verdict()->set_score(1);
  trajectory.mutable_verdict()->set_digest(Sha256Hex("verdict"));
  return trajectory;
}

// ATIF's models forbid what they do not name.
void ExpectOnly(const json& object, const std::set<std::string>& keys) {
  ASSERT_TRUE(object.is_object()) << object;
  for (const auto& [key, value] : object.items()) EXPECT_TRUE(keys.contains(key)) << key;
}

void ExpectAtif(const json& root) {
  ExpectOnly(root, {"schema_version", "session_id", "trajectory_id", "agent", "steps", "notes",
                    "final_metrics", "continued_trajectory_ref", "subagent_trajectories", "extra"});
  EXPECT_EQ(root["schema_version"], "ATIF-v1.7");
  ExpectOnly(root["agent"], {"name", "version", "model_name", "tool_definitions", "extra"});
  EXPECT_TRUE(root["agent"]["name"].is_string());
  EXPECT_TRUE(root["agent"]["version"].is_string());
  EXPECT_EQ(root["final_metrics"], json({{"total_steps", root["steps"].size()}}));
  int64_t step_id = 0;
  for (const json& step : root["steps"]) {
    EXPECT_EQ(step["step_id"], ++step_id);
    EXPECT_TRUE(step["message"].is_string());
    std::set<std::string> keys = {"step_id",           "timestamp",   "source",
                                  "message",           "observation", "llm_call_count",
                                  "is_copied_context", "extra"};
    if (step["source"] == "agent") {
      keys.insert({"tool_calls", "model_name", "reasoning_effort", "reasoning_content", "metrics"});
    } else {
      EXPECT_TRUE(step["source"] == "user" || step["source"] == "system");
    }
    ExpectOnly(step, keys);
    std::set<std::string> calls;
    for (const json& call : step.value("tool_calls", json::array())) {
      ExpectOnly(call, {"tool_call_id", "function_name", "arguments", "extra"});
      EXPECT_TRUE(call["arguments"].is_object());
      EXPECT_TRUE(calls.insert(call["tool_call_id"]).second);
    }
    if (!step.contains("observation")) continue;
    ExpectOnly(step["observation"], {"results"});
    for (const json& result : step["observation"]["results"]) {
      ExpectOnly(result, {"source_call_id", "content", "subagent_trajectory_ref", "extra"});
      EXPECT_TRUE(calls.contains(result["source_call_id"]));
      EXPECT_TRUE(result["content"].is_string());
    }
  }
}

json Atif(const v1::Task& task, const v1::Trajectory& trajectory, const AtifFraming& framing = {}) {
  const auto parsed = ParseJson(ToAtif(task, trajectory, framing));
  EXPECT_TRUE(parsed.ok());
  return *parsed;
}

TEST(AtifTest, ATrajectoryIsAPromptAndAStepACall) {
  const json root = Atif(SampleTask(), SampleTrajectory(), {"You fix bugs.", "1.2"});
  ExpectAtif(root);
  EXPECT_EQ(root["agent"]["name"], "openai:some-model");
  EXPECT_EQ(root["agent"]["version"], "1.2");
  ASSERT_EQ(root["steps"].size(), 5U);
  EXPECT_EQ(root["steps"][0]["source"], "system");
  EXPECT_EQ(root["steps"][1]["message"], SampleTask().prompt().text());
  EXPECT_EQ(root["steps"][1]["timestamp"], "2026-03-01T12:00:00.250Z");
  const json& step = root["steps"][2];
  EXPECT_EQ(step["timestamp"], "2026-03-01T12:00:01.250Z");
  EXPECT_EQ(step["tool_calls"][0]["function_name"], "bash");
  EXPECT_EQ(step["tool_calls"][0]["arguments"],
            json({{"command", "ls \"a b\""}, {"timeout_s", 5}}));
  EXPECT_EQ(step["observation"]["results"][0]["content"], "a.py\n");
  EXPECT_EQ(step["observation"]["results"][0]["extra"]["masked_observation_digest"],
            Sha256Hex("a.py\n"));
  const json& ours = root["extra"]["taskmint"];
  EXPECT_EQ(ours["task"]["commit"], "parent-commit");
  EXPECT_EQ(ours["reward"]["state"], "pass");
  EXPECT_EQ(ours["reward"]["score"], 1.0);
  EXPECT_EQ(ours["final_state_digest"], Sha256Hex("state"));
}

TEST(AtifTest, WhatIsNoTextOrNoObjectIsSaid) {
  const json root = Atif(SampleTask(), SampleTrajectory());
  const json& step = root["steps"][2];
  EXPECT_EQ(step["tool_calls"][0]["arguments"], json::object());
  EXPECT_EQ(step["tool_calls"][0]["extra"]["arguments_text"], "not json");
  const json& result = step["observation"]["results"][0];
  EXPECT_EQ(result["content"], std::string("caf\xEF\xBF\xBD\0 \x1B[31m", 13));
  EXPECT_TRUE(result["extra"]["not_utf8"]);
  EXPECT_TRUE(result["extra"]["failed"]);
  EXPECT_TRUE(result["extra"]["cut"]);
  EXPECT_FALSE(root["steps"][1]["tool_calls"][0].contains("extra"));
}

TEST(AtifTest, NoVerdictHasNoScoreAndNoTimeNoTimestamp) {
  v1::Trajectory trajectory;
  ExpectAtif(Atif({}, trajectory));
  EXPECT_EQ(Atif({}, trajectory)["agent"]["name"], "unknown");
  EXPECT_FALSE(Atif({}, trajectory)["steps"][0].contains("timestamp"));
  EXPECT_TRUE(Atif({}, trajectory)["extra"]["taskmint"]["reward"].is_null());
  for (const int64_t ms :
       {std::numeric_limits<int64_t>::min(), int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    trajectory.set_started_ms(ms);
    EXPECT_FALSE(Atif({}, trajectory)["steps"][0].contains("timestamp"));
  }
  trajectory.mutable_verdict()->set_state(v1::Verdict::STATE_NO_VERDICT);
  const json reward = Atif({}, trajectory)["extra"]["taskmint"]["reward"];
  EXPECT_EQ(reward["state"], "no-verdict");
  EXPECT_FALSE(reward.contains("score"));
  trajectory.mutable_verdict()->set_state(v1::Verdict::STATE_FORGED);
  EXPECT_EQ(Atif({}, trajectory)["extra"]["taskmint"]["reward"]["score"], 0.0);
}

TEST(AtifTest, EqualRecordsGiveEqualBytesAndOthersOtherIds) {
  EXPECT_EQ(ToAtif(SampleTask(), SampleTrajectory()), ToAtif(SampleTask(), SampleTrajectory()));
  v1::Trajectory other = SampleTrajectory();
  other.mutable_steps(0)->set_observation("b.py\n");
  EXPECT_NE(Atif(SampleTask(), other)["trajectory_id"],
            Atif(SampleTask(), SampleTrajectory())["trajectory_id"]);
}

json Chat(const v1::Trajectory& trajectory, const std::string& system = "") {
  const auto row = ToOpenAiChatRow(SampleTask(), trajectory, system);
  EXPECT_TRUE(row.ok());
  EXPECT_EQ(row->find('\n'), row->size() - 1);
  const auto parsed = ParseJson(*row);
  EXPECT_TRUE(parsed.ok());
  return *parsed;
}

TEST(OpenAiChatTest, CallsAndResultsFollowEachOtherAndTheAssistantIsLast) {
  const json row = Chat(SampleTrajectory(), "You fix bugs.");
  const json& messages = row["messages"];
  std::vector<std::string> roles;
  for (const json& message : messages) roles.push_back(message["role"]);
  EXPECT_EQ(roles, (std::vector<std::string>{"system", "user", "assistant", "tool", "assistant",
                                             "tool", "assistant"}));
  for (const json& message : messages) {
    if (message["role"] == "assistant") {
      EXPECT_TRUE(message["content"].is_null());
      ASSERT_EQ(message["tool_calls"].size(), 1U);
      EXPECT_EQ(message["tool_calls"][0]["type"], "function");
      EXPECT_TRUE(message["tool_calls"][0]["function"]["arguments"].is_string());
    } else {
      EXPECT_TRUE(message["content"].is_string());
    }
  }
  EXPECT_EQ(messages[2]["tool_calls"][0]["id"], messages[3]["tool_call_id"]);
  EXPECT_EQ(json::parse(messages[2]["tool_calls"][0]["function"]["arguments"].get<std::string>()),
            json({{"command", "ls \"a b\""}, {"timeout_s", 5}}));
  EXPECT_EQ(messages[4]["tool_calls"][0]["function"]["arguments"], "not json");
  EXPECT_EQ(messages[5]["content"], std::string("caf\xEF\xBF\xBD\0 \x1B[31m", 13));
  EXPECT_EQ(messages[6]["tool_calls"][0]["function"]["arguments"], "{}");
}

// Python's str.splitlines ends lines at more than "\n".
TEST(OpenAiChatTest, ARowIsOneLineWhateverIsInIt) {
  const std::string odd =
      "a\xc2\x85"
      "b\xe2\x80\xa8"
      "c\xe2\x80\xa9"
      "d\x0b\x0c\x1c\x1d\x1e\r\x7f\xf0\x9f\x98\x80\n";
  v1::Trajectory trajectory;
  AddStep(trajectory, "bash", "{\"command\": \"" + std::string("\xe2\x80\xa8") + "\"}", odd);
  AddStep(trajectory, "submit", "{}", "");
  v1::Task task = SampleTask();
  task.mutable_prompt()->set_text(odd);
  const auto row = ToOpenAiChatRow(task, trajectory);
  ASSERT_TRUE(row.ok());
  for (const char c : row->substr(0, row->size() - 1)) ASSERT_TRUE(c >= ' ' && c < 0x7f) << *row;
  EXPECT_EQ(row->back(), '\n');
  const json messages = ParseJson(*row).value()["messages"];
  EXPECT_EQ(messages[0]["content"], odd);
  EXPECT_EQ(messages[2]["content"], odd);
}

TEST(OpenAiChatTest, EveryRowHasEveryKey) {
  v1::Trajectory other;
  AddStep(other, "submit", "{}", "");
  for (const v1::Trajectory& trajectory : {SampleTrajectory(), other}) {
    const json row = Chat(trajectory);
    EXPECT_EQ(row.size(), 3U);
    EXPECT_EQ(row["parallel_tool_calls"], false);
    ASSERT_EQ(row["tools"].size(), 2U);
    EXPECT_EQ(row["tools"][0]["function"]["parameters"]["properties"].size(), 1U);
    EXPECT_EQ(row["tools"][1]["function"]["parameters"], json({{"type", "object"}}));
  }
}

TEST(OpenAiChatTest, ATrajectoryWithoutAStepMakesNoRow) {
  const auto row = ToOpenAiChatRow(SampleTask(), {});
  EXPECT_EQ(row.status().code(), Code::kFailedPrecondition);
}

TEST(TrajectoryWritingTest, NothingOfTheSolutionOrTheVerifierIsTold) {
  for (const std::string& text : {ToAtif(SampleTask(), SampleTrajectory()),
                                  *ToOpenAiChatRow(SampleTask(), SampleTrajectory())}) {
    EXPECT_THAT(text, Not(HasSubstr("test_secret")));
    EXPECT_THAT(text, Not(HasSubstr("fix-commit")));
    EXPECT_THAT(text, Not(HasSubstr(Sha256Hex("the fix"))));
  }
}

}  // namespace
}  // namespace taskmint::datasets
