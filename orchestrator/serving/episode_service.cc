#include "orchestrator/serving/episode_service.h"

#include <limits>

#include "orchestrator/serving/public_task.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr int64_t kIdleSecondsMax = std::numeric_limits<int64_t>::max() / 1000;

}  // namespace

grpc::Status EpisodeServer::Open(grpc::ServerContext* context, const v1::OpenRequest* request,
                                 v1::OpenResponse* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  if (request->idle_s_max() < 0 || request->idle_s_max() > kIdleSecondsMax) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "idle_s_max is negative or no number of seconds"};
  }
  auto opened =
      desk_.Open(request->task_id(), request->actor(), request->idle_s_max() * 1000, call.stop());
  if (!opened.ok()) return call.End(opened.status());
  // Whoever has gone by now never learns the id: without this the episode stays until it is idle.
  if (call.stop().stop_requested() || context->IsCancelled()) {
    static_cast<void>(desk_.Close(opened->id));
    return {grpc::StatusCode::CANCELLED, "the call was stopped before its end"};
  }
  response->set_episode_id(opened->id);
  *response->mutable_task() = PublicTask(opened->task);
  response->set_idle_ms_max(opened->idle_ms_max);
  return grpc::Status::OK;
}

grpc::Status EpisodeServer::CallTool(grpc::ServerContext* context,
                                     const v1::CallToolRequest* request,
                                     v1::CallToolResponse* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const auto step = desk_.CallTool(request->episode_id(), request->tool(),
                                   request->arguments_json(), call.stop());
  if (!step.ok()) return call.End(step.status());
  // What was cut off because this server ends is no observation of the agent's doing.
  if (call.stop().stop_requested()) {
    return {grpc::StatusCode::CANCELLED, "the call was stopped before its end"};
  }
  if (IsUtf8(step->observation())) {
    response->set_observation(step->observation());
  } else {
    response->set_observation(ToUtf8(step->observation()));
    response->set_raw_observation(step->observation());
  }
  response->set_failed(step->failed());
  response->set_cut(step->cut());
  response->set_ended(step->tool() == "submit" && !step->failed());
  response->set_wall_ms(step->wall_ms());
  return grpc::Status::OK;
}

grpc::Status EpisodeServer::Grade(grpc::ServerContext* context, const v1::GradeRequest* request,
                                  v1::GradeResponse* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const auto trajectory = desk_.Grade(request->episode_id(), call.stop());
  if (!trajectory.ok()) return call.End(trajectory.status());
  const v1::Verdict& verdict = trajectory->verdict();
  if (verdict.state() != v1::Verdict::STATE_NO_VERDICT) response->set_reward(verdict.score());
  *response->mutable_verdict() = call.may_reveal() ? verdict : PublicVerdict(verdict);
  response->set_final_state_digest(trajectory->final_state_digest());
  return grpc::Status::OK;
}

grpc::Status EpisodeServer::Close(grpc::ServerContext* context, const v1::CloseRequest* request,
                                  v1::CloseResponse* /*response*/) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  return call.End(desk_.Close(request->episode_id()));
}

}  // namespace taskmint::orchestrator
