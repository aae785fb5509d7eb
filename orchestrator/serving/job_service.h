// JobService on a desk; see proto/services.proto.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_JOB_SERVICE_H_
#define TASKMINT_ORCHESTRATOR_SERVING_JOB_SERVICE_H_

#include <atomic>
#include <cstdint>

#include "orchestrator/job_desk.h"
#include "orchestrator/serving/call.h"
#include "proto/services.grpc.pb.h"

namespace taskmint::orchestrator {

class JobServer final : public v1::JobService::Service {
 public:
  JobServer(JobDesk& desk, const CallRules& rules) : desk_(desk), rules_(rules) {}

  grpc::Status Submit(grpc::ServerContext* context, grpc::ServerReader<v1::SubmitRequest>* reader,
                      v1::JobStatus* response) override;
  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::JobEvent>* writer) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetJobRequest* request,
                   v1::JobStatus* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                    v1::ListJobsResponse* response) override;
  grpc::Status Cancel(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                      v1::JobStatus* response) override;

 private:
  JobDesk& desk_;
  const CallRules rules_;
  std::atomic<int64_t> uploads_ = 0;
  std::atomic<int64_t> watchers_ = 0;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_JOB_SERVICE_H_
