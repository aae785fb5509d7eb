#include "orchestrator/serving/health_descriptor.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <string>

#include "proto/base/check.h"

namespace taskmint::orchestrator {
namespace {

// As gRPC's protocol for health checks has it.
constexpr const char* kHealthFile = R"(
    name: "grpc/health/v1/health.proto" package: "grpc.health.v1" syntax: "proto3"
    message_type { name: "HealthCheckRequest"
      field { name: "service" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
    message_type { name: "HealthCheckResponse"
      field { name: "status" number: 1 type: TYPE_ENUM label: LABEL_OPTIONAL
              type_name: ".grpc.health.v1.HealthCheckResponse.ServingStatus" }
      enum_type { name: "ServingStatus"
        value { name: "UNKNOWN" number: 0 } value { name: "SERVING" number: 1 }
        value { name: "NOT_SERVING" number: 2 } value { name: "SERVICE_UNKNOWN" number: 3 } } }
    service { name: "Health"
      method { name: "Check" input_type: ".grpc.health.v1.HealthCheckRequest"
               output_type: ".grpc.health.v1.HealthCheckResponse" }
      method { name: "Watch" input_type: ".grpc.health.v1.HealthCheckRequest"
               output_type: ".grpc.health.v1.HealthCheckResponse" server_streaming: true } })";

// Kept for good: the pool reads it when it is first asked.
const std::string* AddedFile() {
  google::protobuf::FileDescriptorProto file;
  TASKMINT_CHECK(google::protobuf::TextFormat::ParseFromString(kHealthFile, &file));
  const auto* bytes = new std::string(file.SerializeAsString());
  // The way of generated code, and the only one into the pool that reflection reads.
  google::protobuf::DescriptorPool::InternalAddGeneratedFile(bytes->data(),
                                                             static_cast<int>(bytes->size()));
  return bytes;
}

}  // namespace

void DescribeHealthService() {
  static const std::string* const added = AddedFile();
  static_cast<void>(added);
}

}  // namespace taskmint::orchestrator
