// What lies outside: one answer fetched over HTTP or TLS, redirects followed.
#ifndef TASKMINT_SANDBOX_PACKAGES_UPSTREAM_H_
#define TASKMINT_SANDBOX_PACKAGES_UPSTREAM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/host_connection.h"
#include "sandbox/packages/package_url.h"

namespace taskmint::sandbox {

struct UpstreamRequest {
  PackageUrl url;
  std::string method = "GET";  // or "HEAD"
  std::string accept = "*/*";
};

// The head of the answer behind the last redirect.
struct UpstreamHead {
  int status = 0;
  PackageUrl final_url;
  std::string content_type;
  std::string content_encoding;
  int64_t content_bytes = -1;  // -1: not said
};

struct UpstreamAnswer {
  UpstreamHead head;
  // Over the wire, of all redirects together, heads and TLS included.
  uint64_t bytes_out = 0;
  uint64_t bytes_in = 0;
};

struct UpstreamLimits {
  int64_t idle_ms_max = 60'000;
  int64_t wall_ms_max = 3'600'000;  // of one answer
  int64_t redirects_max = 8;
};

// Asks for identity encoding and one request a connection. Certificates are checked against the
// system's, and those that `certificate_files`, SSL_CERT_FILE, SSL_CERT_DIR, PIP_CERT,
// REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE name. Thread-safe.
class Upstream {
 public:
  // INVALID_ARGUMENT (config) for a file that holds no certificates.
  static Result<std::unique_ptr<Upstream>> Make(const std::vector<std::string>& certificate_files,
                                                const UpstreamLimits& limits);
  ~Upstream();

  // Hosts off the list, redirects to them, and addresses that they may not have, are
  // PERMISSION_DENIED; UNAVAILABLE where the host cannot be reached, its certificate does not hold,
  // or it breaks off; both say which host. Where the status is 200 and the method GET, `on_head`
  // and then `on_bytes` are called, whose errors end it; other bodies are not read.
  // `answer` is filled as far as it came, also on errors. All errors: sandbox.
  Status Fetch(const UpstreamRequest& request, const AllowedHosts& allowed,
               const std::function<Status(const UpstreamHead&)>& on_head,
               const std::function<Status(std::string_view)>& on_bytes, int stop_fd,
               UpstreamAnswer* answer) const;

 private:
  struct Tls;
  struct Hop;
  Upstream();
  Status FetchOnce(const UpstreamRequest& request, Addresses addresses, const Hop& hop) const;

  std::unique_ptr<Tls> tls_;
  UpstreamLimits limits_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_UPSTREAM_H_
