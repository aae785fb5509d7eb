// TaskService on a store; see proto/services.proto.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_TASK_SERVICE_H_
#define TASKMINT_ORCHESTRATOR_SERVING_TASK_SERVICE_H_

#include <atomic>

#include "datasets/store.h"
#include "orchestrator/serving/call.h"
#include "orchestrator/serving/served_tasks.h"
#include "proto/base/clock.h"
#include "proto/services.grpc.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

class TaskServer final : public v1::TaskService::Service {
 public:
  // At most `gradings_max` calls of Verify and Replay at once; more are RESOURCE_EXHAUSTED.
  TaskServer(datasets::Store& store, sandbox::SandboxHost& sandboxes, ServedTasks& served,
             const Clock& clock, const CallRules& rules, int64_t gradings_max)
      : store_(store),
        sandboxes_(sandboxes),
        served_(served),
        clock_(clock),
        rules_(rules),
        gradings_max_(gradings_max) {}

  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request,
                   v1::GetResponse* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListRequest* request,
                    v1::ListResponse* response) override;
  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest* request,
                      v1::VerifyResponse* response) override;
  grpc::Status Export(grpc::ServerContext* context, const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportChunk>* writer) override;
  grpc::Status Stats(grpc::ServerContext* context, const v1::StatsRequest* request,
                     v1::StoreStats* response) override;
  grpc::Status Replay(grpc::ServerContext* context, const v1::ReplayRequest* request,
                      v1::ReplayReport* response) override;
  grpc::Status Audit(grpc::ServerContext* context, const v1::AuditRequest* request,
                     v1::AuditReport* response) override;

 private:
  Status AuditKept(const std::string& where, std::stop_token stop, v1::AuditReport& response);
  grpc::Status TooManyGradings() const;
  static grpc::Status TooManyReaders();
  Status Reveal(const std::string& id, v1::GetResponse& response);

  datasets::Store& store_;
  sandbox::SandboxHost& sandboxes_;
  ServedTasks& served_;
  const Clock& clock_;
  const CallRules rules_;
  const int64_t gradings_max_;
  std::atomic<int64_t> gradings_ = 0;
  std::atomic<int64_t> exports_ = 0;
  std::atomic<int64_t> readers_ = 0;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_TASK_SERVICE_H_
