// Turns callers away before the handler of their call runs.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_ADMISSION_H_
#define TASKMINT_ORCHESTRATOR_SERVING_ADMISSION_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "orchestrator/serving/access_rules.h"

namespace taskmint::orchestrator {

// Looks at every call but those of the health service, which answers anybody: UNAUTHENTICATED
// without a token where the rules want one. Reflection, whose handler is gRPC's and waits in a
// thread for as long as its client likes, is had by `reflections_max` calls at once, with or
// without a token; more are RESOURCE_EXHAUSTED. `access` outlives the server.
class Admission final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  Admission(const AccessRules& access, int64_t reflections_max)
      : access_(access), reflections_max_(reflections_max) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  const AccessRules& access_;
  const int64_t reflections_max_;
  // Calls may outlive this object.
  const std::shared_ptr<std::atomic<int64_t>> reflections_ =
      std::make_shared<std::atomic<int64_t>>(0);
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_ADMISSION_H_
