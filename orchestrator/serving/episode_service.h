// EpisodeService on a desk; see proto/services.proto.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_EPISODE_SERVICE_H_
#define TASKMINT_ORCHESTRATOR_SERVING_EPISODE_SERVICE_H_

#include "orchestrator/episode_desk.h"
#include "orchestrator/serving/call.h"
#include "proto/services.grpc.pb.h"

namespace taskmint::orchestrator {

class EpisodeServer final : public v1::EpisodeService::Service {
 public:
  EpisodeServer(EpisodeDesk& desk, const CallRules& rules) : desk_(desk), rules_(rules) {}

  grpc::Status Open(grpc::ServerContext* context, const v1::OpenRequest* request,
                    v1::OpenResponse* response) override;
  grpc::Status CallTool(grpc::ServerContext* context, const v1::CallToolRequest* request,
                        v1::CallToolResponse* response) override;
  grpc::Status Grade(grpc::ServerContext* context, const v1::GradeRequest* request,
                     v1::GradeResponse* response) override;
  grpc::Status Close(grpc::ServerContext* context, const v1::CloseRequest* request,
                     v1::CloseResponse* response) override;

 private:
  EpisodeDesk& desk_;
  const CallRules rules_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_EPISODE_SERVICE_H_
