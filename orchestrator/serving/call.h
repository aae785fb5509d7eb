// One call of a client, seen by a service: who calls, and whether it still waits for the answer.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_CALL_H_
#define TASKMINT_ORCHESTRATOR_SERVING_CALL_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "orchestrator/hidden_path.h"
#include "orchestrator/serving/access_rules.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

// A Status as gRPC sends it: the same code and message; the boundary is added to the trailing
// metadata of `context`, where given.
grpc::Status ToGrpcStatus(const Status& status, grpc::ServerContext* context = nullptr);

constexpr const char* kTokenWanted =
    "this server wants a token: send the metadata authorization: Bearer TOKEN";

// Ends a call under its handler, which sees it cancelled; the client gets `code` and `words`.
void EndEarly(grpc::ServerContextBase& context, grpc::StatusCode code, const char* words);

// Turns a client's cancellation, a deadline that has passed, and the server's own end into stop
// tokens. gRPC's synchronous API tells of them only when asked; one thread asks for all calls,
// every 10 ms while there are any. Thread-safe.
class CancellationWatch {
 public:
  CancellationWatch();
  // Until `context` is given back by Forget.
  std::stop_token Watch(grpc::ServerContext* context);
  void Forget(grpc::ServerContext* context);
  // Ends a watched call with DEADLINE_EXCEEDED at `end`, unless another end, or none, is set
  // before.
  using TimePoint = std::chrono::steady_clock::time_point;
  void EndAt(grpc::ServerContext* context, std::optional<TimePoint> end);
  // Stops every call, and those that come.
  void StopAll();

 private:
  struct Watched {
    std::stop_source source;
    std::optional<TimePoint> end;
  };
  void Ask(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::map<grpc::ServerContext*, Watched> calls_;
  bool stopping_ = false;
  std::jthread asker_;
};

// What services share.
struct CallRules {
  const AccessRules& access;
  CancellationWatch& cancellations;
  // The store's folder, which no message to a client names.
  const HiddenPath& store;
};

// A call being answered.
class Call {
 public:
  Call(const CallRules& rules, grpc::ServerContext* context);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // UNAUTHENTICATED, with what to send, unless the caller is admitted.
  const grpc::Status& admission() const { return admission_; }
  bool may_reveal() const { return caller_.may_reveal; }
  // Stops when nobody waits for the answer any more.
  std::stop_token stop();
  // By when the client has to send more; nothing: whenever it likes. See CancellationWatch::EndAt.
  void Expect(std::optional<CancellationWatch::TimePoint> by);
  // `status` without paths of the store.
  grpc::Status End(const Status& status) const;

 private:
  const CallRules& rules_;
  grpc::ServerContext* context_;
  Caller caller_;
  grpc::Status admission_;
  std::optional<std::stop_token> stop_;  // watched from when it is first asked for
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_CALL_H_
