// Where a server listens, as a user writes it.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_LISTEN_ADDRESS_H_
#define TASKMINT_ORCHESTRATOR_SERVING_LISTEN_ADDRESS_H_

#include <string>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

struct ListenAddress {
  // As gRPC takes it: "127.0.0.1:7070", "[::1]:7070", "unix:/run/taskmint.sock".
  std::string text;
  // Reached from this machine alone: an address of the loopback range, "localhost", or a unix
  // socket. Any other name or address is not.
  bool loopback = false;
};

// "HOST:PORT", "[IPv6]:PORT" or "unix:PATH". Port 0 lets the system choose one. INVALID_ARGUMENT
// (config) with an example for anything else.
Result<ListenAddress> ParseListenAddress(const std::string& text);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_LISTEN_ADDRESS_H_
