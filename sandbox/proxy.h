// The one way out of a sandbox: an HTTP proxy on a unix socket that connects to named hosts only.
#ifndef TASKMINT_SANDBOX_PROXY_H_
#define TASKMINT_SANDBOX_PROXY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::sandbox {

// A host that may be reached, with its port. Names match exactly, without case.
struct AllowedHost {
  std::string host;
  uint16_t port = 443;
};

// One connection that was asked for.
struct ProxyConnection {
  std::string host;
  uint16_t port = 0;
  bool allowed = false;
  uint64_t bytes_out = 0;
  uint64_t bytes_in = 0;
};

// CONNECT (for TLS) and absolute-form requests (plain http) under the same rules. Names are
// resolved outside. Hosts off the list get 403 with the host's name in the body. Private, loopback
// and metadata addresses are reached only for hosts on the list: being on it is the user's word.
// Thread-safe. Destroying it closes every connection.
class Proxy {
 public:
  virtual ~Proxy() = default;
  // Listens on a fresh unix socket in a folder of its own that only this user, and the sandboxes'
  // users, can reach.
  static Result<std::unique_ptr<Proxy>> Start(std::vector<AllowedHost> allowed);
  virtual const std::string& socket_path() const = 0;
  // Widens the list; for hosts that an index's pages link to.
  virtual void Allow(const AllowedHost& host) = 0;
  // Every connection so far, in order.
  virtual std::vector<ProxyConnection> connections() const = 0;
};

// Splits "https://user:secret@host:8443/path" into host and port (443 and 80 by default).
// INVALID_ARGUMENT for anything but http and https.
Result<AllowedHost> HostOfUrl(const std::string& url);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PROXY_H_
