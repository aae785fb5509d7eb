// The gRPC server: services, transport security, health, reflection, limits.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_SERVER_H_
#define TASKMINT_ORCHESTRATOR_SERVING_SERVER_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "datasets/store.h"
#include "orchestrator/episode_desk.h"
#include "orchestrator/job_desk.h"
#include "orchestrator/serving/access_rules.h"
#include "orchestrator/serving/listen_address.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

struct ServerSettings {
  ListenAddress address;
  AccessRules access;
  EpisodeLimits episodes;
  JobLimits jobs;
  // Calls of TaskService.Verify at once.
  int64_t gradings_max = 2;
  // Calls at once, each of which has a thread; more are RESOURCE_EXHAUSTED.
  int64_t calls_max = 1024;
  // Of any one message received.
  int64_t message_bytes_max = int64_t{16} << 20;
};

// A server that is listening. Destroying it ends it as Stop does.
class Server {
 public:
  // Starts to listen, and then to run jobs. UNAVAILABLE (config) when the address cannot be had:
  // says why. Errors of the store as JobDesk::Open: one server a store. What is given outlives the
  // server.
  static Result<std::unique_ptr<Server>> Start(datasets::Store& store,
                                               sandbox::SandboxHost& sandboxes, const Clock& clock,
                                               ServerSettings settings);
  virtual ~Server() = default;
  // Where it listens, with the port that the system chose for 0.
  virtual const std::string& address() const = 0;
  // Takes no more calls, gives those that run `grace_ms`, then cancels them. Sandboxes are closed,
  // jobs stopped: they are gone on with by the next server.
  virtual void Stop(int64_t grace_ms) = 0;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_SERVER_H_
