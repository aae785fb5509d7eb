#include "sandbox/packages/package_cache.h"

#include <utility>

#include "proto/base/log.h"
#include "proto/base/utf8.h"
#include "sandbox/packages/package_session.h"
#include "sandbox/socket_server.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kConnectionsKept = 100'000;

std::string_view SourceName(PackageConnection::Source source) {
  switch (source) {
    case PackageConnection::Source::kNone:
      return "none";
    case PackageConnection::Source::kRecording:
      return "recording";
    case PackageConnection::Source::kUpstream:
      return "upstream";
  }
  return "none";
}

class HttpPackageCache final : public PackageCache {
 public:
  // `upstream` is null where it replays.
  HttpPackageCache(std::unique_ptr<Recording> recording, std::unique_ptr<Upstream> upstream,
                   const std::vector<AllowedHost>& allowed)
      : recording_(std::move(recording)), upstream_(std::move(upstream)) {
    for (const AllowedHost& host : allowed) allowed_.Add(host);
    for (const RecordedIndex& index : recording_->indexes()) {
      parts_.index_urls.push_back(index.url);
      if (upstream_ != nullptr) allowed_.Add(index.url.host);
    }
  }

  Status Listen() {
    TASKMINT_ASSIGN_OR_RETURN(server_, SocketServer::Start([this](UniqueFd client, int stop_fd) {
                                Keep(ServePackageRequest(parts_, client.get(), stop_fd));
                              }));
    return OkStatus();
  }

  const std::string& socket_path() const override { return server_->socket_path(); }

  Network network() const override {
    std::string python, more_python, npm;
    const std::vector<RecordedIndex>& indexes = recording_->indexes();
    for (size_t i = 0; i < indexes.size(); ++i) {
      const std::string url = IndexUrlInside(i);
      if (indexes[i].kind == IndexKind::kNpm) {
        if (npm.empty()) npm = url;
      } else if (python.empty()) {
        python = url;
      } else {
        more_python += (more_python.empty() ? "" : " ") + url;
      }
    }
    Network network;
    network.mode = Network::Mode::kPackages;
    network.proxy_socket_path = server_->socket_path();
    auto& variables = network.variables;
    if (!python.empty()) {
      for (const char* name : {"PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"}) {
        variables[name] = python;
      }
      // The question whether there is a newer pip would be recorded, too.
      variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1";
      variables["PIP_DEFAULT_TIMEOUT"] = variables["UV_HTTP_TIMEOUT"] = "300";
    }
    if (!more_python.empty()) {
      variables["PIP_EXTRA_INDEX_URL"] = variables["UV_INDEX"] = more_python;
    }
    if (!npm.empty()) variables["npm_config_registry"] = npm;
    return network;
  }

  std::vector<PackageConnection> connections() const override {
    const std::lock_guard lock(mutex_);
    return connections_;
  }

 private:
  void Keep(PackageConnection connection) {
    if (connection.status == 0) return;  // nobody asked, or the end came first
    Log(LogLevel::kInfo, "package request",
        {{"method", connection.method},
         {"url", connection.url},
         {"status", std::to_string(connection.status)},
         {"source", std::string(SourceName(connection.source))},
         {"bytes_out", std::to_string(connection.bytes_out)},
         {"bytes_in", std::to_string(connection.bytes_in)},
         {"bytes_served", std::to_string(connection.bytes_served)}});
    const std::lock_guard lock(mutex_);
    if (connections_.size() < kConnectionsKept) connections_.push_back(std::move(connection));
  }

  std::unique_ptr<Recording> recording_;
  std::unique_ptr<Upstream> upstream_;
  AllowedHosts allowed_;
  FetchesInHand in_hand_;
  std::mutex page_mutex_;
  PackageCacheParts parts_{*recording_, upstream_.get(), allowed_, {}, in_hand_, page_mutex_};
  mutable std::mutex mutex_;
  std::vector<PackageConnection> connections_;
  std::unique_ptr<SocketServer> server_;  // last: it ends first
};

Result<std::unique_ptr<PackageCache>> StartCache(std::unique_ptr<Recording> recording,
                                                 std::unique_ptr<Upstream> upstream,
                                                 const std::vector<AllowedHost>& allowed) {
  auto cache =
      std::make_unique<HttpPackageCache>(std::move(recording), std::move(upstream), allowed);
  TASKMINT_RETURN_IF_ERROR(cache->Listen());
  return std::unique_ptr<PackageCache>(std::move(cache));
}

Status BadIndex(const std::string& why) { return {Code::kInvalidArgument, Boundary::kConfig, why}; }

}  // namespace

Result<std::unique_ptr<PackageCache>> PackageCache::Record(const RecordOptions& options) {
  if (options.indexes.empty()) {
    return BadIndex("no package index is named: set PIP_INDEX_URL or UV_DEFAULT_INDEX");
  }
  TASKMINT_ASSIGN_OR_RETURN(auto upstream,
                            Upstream::Make(options.certificate_files, options.upstream_limits));
  std::vector<RecordedIndex> indexes;
  for (const PackageIndex& index : options.indexes) {
    if (HasCredentials(index.url)) {
      return BadIndex(
          "a package index that wants a password cannot be recorded, since what runs inside could "
          "ask with it for whatever its host has: name an index without one, such as a mirror");
    }
    auto url = ParsePackageUrl(index.url);
    if (!url.ok()) return BadIndex("a package index: " + url.status().message());
    if (url->target.find('?') != std::string::npos) {
      return BadIndex("a package index with a query cannot be recorded: " + url->Text());
    }
    // With a slash at its end or without, it is the same index.
    while (url->target.size() > 1 && url->target.ends_with('/')) url->target.pop_back();
    indexes.push_back({index.kind, *url});
  }
  TASKMINT_ASSIGN_OR_RETURN(
      auto recording, Recording::OpenToRecord(options.folder, indexes, options.recording_limits));
  return StartCache(std::move(recording), std::move(upstream), options.allowed);
}

Result<std::unique_ptr<PackageCache>> PackageCache::Replay(const std::string& folder) {
  TASKMINT_ASSIGN_OR_RETURN(auto recording, Recording::OpenToReplay(folder));
  return StartCache(std::move(recording), nullptr, {});
}

}  // namespace taskmint::sandbox
