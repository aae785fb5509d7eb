#include "orchestrator/commands/sandbox_network.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "environments/repository/python/sources.h"
#include "sandbox/process.h"

namespace taskmint::orchestrator {
namespace {

constexpr char kRecordPrefix[] = "record:";
constexpr char kReplayPrefix[] = "replay:";

Status BadNetwork(const std::string& message) {
  return {Code::kInvalidArgument, Boundary::kConfig, message};
}

// HOST or HOST:PORT.
Result<sandbox::AllowedHost> AllowedHostOf(const std::string& text) {
  Result<sandbox::AllowedHost> host = sandbox::HostOfUrl("https://" + text + "/");
  if (!host.ok() || text.find('/') != std::string::npos) {
    return BadNetwork("--allow wants HOST or HOST:PORT, and got " + text);
  }
  return host;
}

// The registry that npm's variables or the user's .npmrc name; empty for its own.
std::string NpmRegistry(const std::string& home) {
  for (const char* name : {"npm_config_registry", "NPM_CONFIG_REGISTRY"}) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  std::ifstream file(home + "/.npmrc");
  for (std::string line; std::getline(file, line);) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '"'; });
    if (line.starts_with("registry=")) return line.substr(line.find('=') + 1);
  }
  return "";
}

Result<std::string> DefaultIndex() {
  constexpr int64_t kHelpMsMax = 20'000;
  TASKMINT_ASSIGN_OR_RETURN(const std::string uv, environments::FindUv());
  TASKMINT_ASSIGN_OR_RETURN(const std::string help,
                            sandbox::OutputOf({uv, "pip", "install", "--help"}, kHelpMsMax));
  return environments::DefaultIndexIn(help);
}

Result<std::unique_ptr<sandbox::PackageCache>> Record(const std::string& folder,
                                                      std::vector<sandbox::AllowedHost> hosts) {
  const char* variable = std::getenv("HOME");
  const std::string home = variable != nullptr ? variable : "/";
  environments::PackageSources sources =
      environments::ReadPackageSources(environments::PackageVariables(), home);
  sandbox::RecordOptions options;
  options.folder = folder;
  options.allowed = std::move(hosts);
  if (!sources.has_default_index && !sources.no_index) {
    if (const auto url = DefaultIndex(); url.ok()) {
      sources.index_urls.insert(sources.index_urls.begin(), *url);
      sources.has_default_index = true;
    }
  }
  for (const std::string& url : sources.index_urls) {
    if (url.starts_with("file://")) {
      return BadNetwork("an index in a folder is not recorded: name one with http or https");
    }
    options.indexes.push_back({sandbox::IndexKind::kPython, url});
  }
  if (!sources.has_default_index) {
    options.indexes.clear();
    if (NpmRegistry(home).empty()) {
      return BadNetwork(
          "the settings name no package index to record from: set UV_DEFAULT_INDEX or "
          "PIP_INDEX_URL");
    }
  }
  if (const std::string npm = NpmRegistry(home); !npm.empty()) {
    options.indexes.push_back({sandbox::IndexKind::kNpm, npm});
  }
  for (const sandbox::Mount& mount : sources.mounts) {
    if (mount.inside_path.ends_with(".pem")) options.certificate_files.push_back(mount.host_path);
  }
  return sandbox::PackageCache::Record(options);
}

// The folder behind a prefix.
Result<std::string> FolderOf(const std::string& choice, const std::string& prefix) {
  if (choice.size() > prefix.size()) return choice.substr(prefix.size());
  return BadNetwork("--network " + prefix + " wants a folder, such as " + prefix + "packages");
}

}  // namespace

Result<SandboxNetwork> OpenSandboxNetwork(const std::string& choice,
                                          const std::vector<std::string>& hosts) {
  std::vector<sandbox::AllowedHost> allowed;
  for (const std::string& text : hosts) {
    TASKMINT_ASSIGN_OR_RETURN(sandbox::AllowedHost host, AllowedHostOf(text));
    allowed.push_back(std::move(host));
  }
  SandboxNetwork opened;
  if (choice == "allow-list" || (choice.empty() && !hosts.empty())) {
    if (hosts.empty()) return BadNetwork("--network allow-list wants hosts: name them by --allow");
    TASKMINT_ASSIGN_OR_RETURN(opened.proxy, sandbox::Proxy::Start(std::move(allowed)));
    opened.network.mode = sandbox::Network::Mode::kProxy;
    opened.network.proxy_socket_path = opened.proxy->socket_path();
    return opened;
  }
  const bool records = choice.starts_with(kRecordPrefix);
  if (!hosts.empty() && !records) {
    return BadNetwork("--allow opens hosts that --network " + choice + " does not reach");
  }
  if (choice.empty() || choice == "none") return opened;
  if (records) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string folder, FolderOf(choice, kRecordPrefix));
    TASKMINT_ASSIGN_OR_RETURN(opened.packages, Record(folder, std::move(allowed)));
  } else if (choice.starts_with(kReplayPrefix)) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string folder, FolderOf(choice, kReplayPrefix));
    TASKMINT_ASSIGN_OR_RETURN(opened.packages, sandbox::PackageCache::Replay(folder));
  } else {
    return BadNetwork("--network wants none, allow-list, record:FOLDER or replay:FOLDER, and got " +
                      choice);
  }
  opened.network = opened.packages->network();
  return opened;
}

}  // namespace taskmint::orchestrator
