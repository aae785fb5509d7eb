// Which hosts may be reached from here on a sandbox's behalf, and how they are.
#ifndef TASKMINT_SANDBOX_HOST_CONNECTION_H_
#define TASKMINT_SANDBOX_HOST_CONNECTION_H_

#include <sys/socket.h>

#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "sandbox/fd.h"
#include "sandbox/proxy.h"

namespace taskmint::sandbox {

// Which addresses of a host may be connected to.
enum class Addresses {
  kAny,     // the user named the host
  kPublic,  // others did: no private, loopback, link-local, metadata or multicast address
};

// The hosts that may be reached. Thread-safe.
class AllowedHosts {
 public:
  // Names match exactly, without case.
  void Add(AllowedHost host, Addresses addresses = Addresses::kAny);
  // Nothing for a host that is not on the list; `host` is in lower case.
  std::optional<Addresses> Find(const AllowedHost& host) const;
  size_t size() const;

 private:
  struct Row {
    AllowedHost host;
    Addresses addresses;
  };

  mutable std::mutex mutex_;
  std::vector<Row> rows_;
};

// True for an address of the public Internet (the IANA special-purpose address registries of IPv4
// and IPv6, and the metadata service that has a public address).
bool IsPublicAddress(const sockaddr& address);

// Resolves a name within 30 s and connects to the first of its addresses that answers, within 15 s
// for each; ends at once when `stop_fd` can be read.
// Not valid when none does, or none may be; the descriptor is non-blocking.
UniqueFd ConnectToHost(const AllowedHost& target, Addresses addresses, int stop_fd);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_HOST_CONNECTION_H_
