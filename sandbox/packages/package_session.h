// One request of a sandbox to the package cache, from its first byte to the last.
#ifndef TASKMINT_SANDBOX_PACKAGES_PACKAGE_SESSION_H_
#define TASKMINT_SANDBOX_PACKAGES_PACKAGE_SESSION_H_

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "sandbox/host_connection.h"
#include "sandbox/packages/client_http.h"
#include "sandbox/packages/package_cache.h"

namespace taskmint::sandbox {

// URLs that are being fetched, so that each is fetched once. Thread-safe.
class FetchesInHand {
 public:
  // False while another fetches the same.
  bool TryBegin(const std::string& key);
  void End(const std::string& key);
  // Returns soon after a fetch has ended, or after 200 ms.
  void AwaitAnEnd();

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::set<std::string> keys_;
};

// What the requests to one cache share; it outlives them.
struct PackageCacheParts {
  Recording& recording;
  const Upstream* upstream;  // null: replaying
  AllowedHosts& allowed;
  std::vector<PackageUrl> index_urls;  // of the recording's indexes
  FetchesInHand& in_hand;
  std::mutex& page_mutex;  // pages are taken apart one at a time: they are large
};

// Serves one request of a non-blocking connection, which stays open; returns what to log.
PackageConnection ServePackageRequest(const PackageCacheParts& parts, int client, int stop_fd);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_PACKAGE_SESSION_H_
