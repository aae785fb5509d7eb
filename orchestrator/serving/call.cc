#include "orchestrator/serving/call.h"

#include <grpc/grpc.h>

#include <chrono>
#include <string>
#include <string_view>

#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr auto kAskEvery = std::chrono::milliseconds(10);
// Clients refuse metadata of more than 8 KiB.
constexpr size_t kMessageBytesMax = 4000;

std::string_view Authorization(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

}  // namespace

grpc::Status ToGrpcStatus(const Status& status, grpc::ServerContext* context) {
  if (status.ok()) return grpc::Status::OK;
  if (context != nullptr && status.boundary() != Boundary::kNone) {
    context->AddTrailingMetadata("taskmint-boundary", std::string(BoundaryName(status.boundary())));
  }
  return {static_cast<grpc::StatusCode>(status.code()),
          CutMiddle(Printable(status.message()), kMessageBytesMax)};
}

void EndEarly(grpc::ServerContextBase& context, grpc::StatusCode code, const char* words) {
  grpc_call_cancel_with_status(context.c_call(), static_cast<grpc_status_code>(code), words,
                               nullptr);
}

CancellationWatch::CancellationWatch()
    : asker_([this](std::stop_token stop) { Ask(std::move(stop)); }) {}

std::stop_token CancellationWatch::Watch(grpc::ServerContext* context) {
  const std::lock_guard lock(mutex_);
  std::stop_source& source = calls_[context].source;
  if (stopping_) source.request_stop();
  if (calls_.size() == 1) arrived_.notify_all();
  return source.get_token();
}

void CancellationWatch::Forget(grpc::ServerContext* context) {
  const std::lock_guard lock(mutex_);
  calls_.erase(context);
}

void CancellationWatch::EndAt(grpc::ServerContext* context, std::optional<TimePoint> end) {
  const std::lock_guard lock(mutex_);
  if (const auto found = calls_.find(context); found != calls_.end()) found->second.end = end;
}

void CancellationWatch::StopAll() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (auto& [context, call] : calls_) call.source.request_stop();
}

void CancellationWatch::Ask(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (arrived_.wait(lock, stop, [this] { return !calls_.empty(); })) {
    const TimePoint now = std::chrono::steady_clock::now();
    for (auto& [context, call] : calls_) {
      if (call.end && now > *call.end) {
        call.end.reset();
        EndEarly(*context, grpc::StatusCode::DEADLINE_EXCEEDED,
                 "the rest of the request did not come in time: send it without pauses");
      }
      if (context->IsCancelled()) call.source.request_stop();
    }
    arrived_.wait_for(lock, stop, kAskEvery, [] { return false; });
  }
}

Call::Call(const CallRules& rules, grpc::ServerContext* context)
    : rules_(rules),
      context_(context),
      caller_(JudgeCaller(rules.access, Authorization(*context))) {
  if (caller_.admitted) return;
  admission_ = {grpc::StatusCode::UNAUTHENTICATED, kTokenWanted};
}

Call::~Call() {
  if (stop_) rules_.cancellations.Forget(context_);
}

std::stop_token Call::stop() {
  if (!stop_) stop_ = rules_.cancellations.Watch(context_);
  return *stop_;
}

void Call::Expect(std::optional<CancellationWatch::TimePoint> by) {
  stop();
  rules_.cancellations.EndAt(context_, by);
}

grpc::Status Call::End(const Status& status) const {
  if (status.ok()) return grpc::Status::OK;
  return ToGrpcStatus({status.code(), status.boundary(), rules_.store.Hide(status.message())},
                      context_);
}

}  // namespace taskmint::orchestrator
