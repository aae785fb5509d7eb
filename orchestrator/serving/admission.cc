#include "orchestrator/serving/admission.h"

#include <optional>
#include <string_view>

#include "orchestrator/serving/call.h"
#include "orchestrator/serving/slots.h"

namespace taskmint::orchestrator {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr std::string_view kHealth = "/grpc.health.v1.Health/";
constexpr std::string_view kReflection = "/grpc.reflection.";

// One call.
class Doorkeeper final : public grpc::experimental::Interceptor {
 public:
  Doorkeeper(const AccessRules& access, grpc::ServerContextBase* context,
             std::shared_ptr<std::atomic<int64_t>> reflections, int64_t reflections_max)
      : access_(access),
        context_(context),
        reflections_(std::move(reflections)),
        reflections_max_(reflections_max) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      Judge(*methods->GetRecvInitialMetadata());
    }
    methods->Proceed();
  }

 private:
  // A handler whose call has ended has nothing to wait for.
  void Judge(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
    const auto found = metadata.find("authorization");
    const std::string_view authorization =
        found == metadata.end() ? std::string_view()
                                : std::string_view(found->second.data(), found->second.size());
    if (!JudgeCaller(access_, authorization).admitted) {
      EndEarly(*context_, grpc::StatusCode::UNAUTHENTICATED, kTokenWanted);
      return;
    }
    if (reflections_ == nullptr) return;
    slot_.emplace(*reflections_, reflections_max_);
    if (slot_->taken()) return;
    EndEarly(*context_, grpc::StatusCode::RESOURCE_EXHAUSTED,
             "as many calls of reflection as this server answers at once: try again in a second");
  }

  const AccessRules& access_;
  grpc::ServerContextBase* const context_;
  const std::shared_ptr<std::atomic<int64_t>> reflections_;  // null for other services
  const int64_t reflections_max_;
  std::optional<Slot> slot_;
};

}  // namespace

grpc::experimental::Interceptor* Admission::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  const std::string_view method = info->method() == nullptr ? "" : info->method();
  if (method.starts_with(kHealth)) return nullptr;
  const bool reflects = method.starts_with(kReflection);
  if (access_.token.empty() && !reflects) return nullptr;
  return new Doorkeeper(access_, info->server_context(), reflects ? reflections_ : nullptr,
                        reflections_max_);
}

}  // namespace taskmint::orchestrator
