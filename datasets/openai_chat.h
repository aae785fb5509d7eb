// Trajectories as OpenAI chat rows for fine-tuning.
#ifndef TASKMINT_DATASETS_OPENAI_CHAT_H_
#define TASKMINT_DATASETS_OPENAI_CHAT_H_

#include <string>

#include "proto/base/status.h"
#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"

namespace taskmint::datasets {

// One row: a JSON object on one line, with its line break. Its keys are always `messages`, `tools`
// and `parallel_tool_calls` (false), and every message has the keys of its role, so that loaders
// which infer a schema agree on all files.
//
// Messages: `system` where there is one, the prompt as `user`, then for each call an `assistant`
// message (content null, one tool call, arguments as JSON text) and a `tool` message with what came
// back. A row must end with the assistant, so the last call's result is left out. An observation
// that is not UTF-8 has U+FFFD for what is malformed. Arguments that are no JSON object are given
// as the agent wrote them. Ids of calls are call_1, call_2, ...
//
// Which trajectories are worth a row is the caller's choice: the verdict is not looked at. Pure and
// deterministic. FAILED_PRECONDITION (store) for a trajectory without a step: there is nothing that
// an assistant said.
Result<std::string> ToOpenAiChatRow(const v1::Task& task, const v1::Trajectory& trajectory,
                                    const std::string& system = "");

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_OPENAI_CHAT_H_
