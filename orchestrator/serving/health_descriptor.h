// What reflection says of the standard health service.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_HEALTH_DESCRIPTOR_H_
#define TASKMINT_ORCHESTRATOR_SERVING_HEALTH_DESCRIPTOR_H_

namespace taskmint::orchestrator {

// gRPC's own health service comes without descriptors: reflection would list grpc.health.v1.Health
// and could not describe it, so that grpcurl refuses to call it. Adds them, once, to what
// reflection reads. Thread-safe.
void DescribeHealthService();

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_HEALTH_DESCRIPTOR_H_
