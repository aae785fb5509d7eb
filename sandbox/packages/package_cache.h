// The way to packages that remembers: a pull-through cache on a unix socket, which replays what it
// recorded without any network.
#ifndef TASKMINT_SANDBOX_PACKAGES_PACKAGE_CACHE_H_
#define TASKMINT_SANDBOX_PACKAGES_PACKAGE_CACHE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/packages/index_page.h"
#include "sandbox/packages/recording.h"
#include "sandbox/packages/upstream.h"
#include "sandbox/proxy.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

// A package index as the package managers' settings name it.
struct PackageIndex {
  IndexKind kind = IndexKind::kPython;
  // http or https, without credentials.
  std::string url;
};

struct RecordOptions {
  // Where the recording is, or will be.
  std::string folder;
  // The first of a kind is its default. At least one.
  std::vector<PackageIndex> indexes;
  // Further hosts that may be fetched from, such as those that files are redirected to.
  std::vector<AllowedHost> allowed;
  // Of authorities to trust, beside the system's.
  std::vector<std::string> certificate_files;
  RecordingLimits recording_limits;
  UpstreamLimits upstream_limits;
};

// One request from inside.
struct PackageConnection {
  std::string method;
  std::string url;  // outside; empty where it was none
  int status = 0;   // that was answered
  enum class Source { kNone, kRecording, kUpstream } source = Source::kNone;
  // With the outside, and with the inside.
  uint64_t bytes_out = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_served = 0;
};

// HTTP without TLS, GET and HEAD: /index/N/... are the pages of the N-th index, whose links to
// files are rewritten to /file/... of the same cache. What is outside is reached over TLS where its
// URL says so; nothing is decrypted that the cache did not ask for itself.
//
// Recording, an answer that is in the folder is given from there; any other is fetched, from the
// indexes' hosts, `allowed`, and those that index pages link to, of which private, loopback and
// metadata addresses are refused. Names are resolved outside, redirects followed there, under the
// same rules. What a client received whole is in the folder: the last bytes of a file are held back
// until it is. A download goes on when its client leaves. Answers 200, 403, 404, 405, 410 and 501
// are kept; others are passed on. A file in the folder may be read in ranges, and has an ETag; one
// that is being fetched is given whole.
//
// Replaying, nothing is contacted: what was not recorded gets 504 with its URL in the body, and is
// logged. What is damaged gets 500, is logged with its file, and is never given.
//
// Thread-safe. At most 64 requests at once; others wait. Destroying it ends every connection.
class PackageCache {
 public:
  virtual ~PackageCache() = default;
  // INVALID_ARGUMENT (config) for an index that is none; further errors as
  // Recording::OpenToRecord's and Proxy::Start's.
  static Result<std::unique_ptr<PackageCache>> Record(const RecordOptions& options);
  // Errors as Recording::OpenToReplay's and Proxy::Start's.
  static Result<std::unique_ptr<PackageCache>> Replay(const std::string& folder);

  virtual const std::string& socket_path() const = 0;
  // What a sandbox needs to use it: socket and variables that point pip, uv and npm to it.
  virtual Network network() const = 0;
  // Every request so far, in the order of their ends; the first 100,000.
  virtual std::vector<PackageConnection> connections() const = 0;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_PACKAGE_CACHE_H_
