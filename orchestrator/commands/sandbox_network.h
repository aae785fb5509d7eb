// The network of a sandbox that `taskmint sandbox` opens, as its options ask for it.
#ifndef TASKMINT_ORCHESTRATOR_COMMANDS_SANDBOX_NETWORK_H_
#define TASKMINT_ORCHESTRATOR_COMMANDS_SANDBOX_NETWORK_H_

#include <memory>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/packages/package_cache.h"
#include "sandbox/proxy.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// What serves it outside; outlives the sandbox.
struct SandboxNetwork {
  std::unique_ptr<sandbox::Proxy> proxy;
  std::unique_ptr<sandbox::PackageCache> packages;
  sandbox::Network network;
};

// `choice` is "none", "allow-list", "record:FOLDER", "replay:FOLDER", or empty: the allow list when
// hosts are named, else none. `hosts` are "HOST" or "HOST:PORT"; recording, they are beside the
// indexes that pip's, uv's and npm's settings name. INVALID_ARGUMENT (config) says what is wrong
// with an option; else as Proxy::Start and PackageCache::Record and Replay.
Result<SandboxNetwork> OpenSandboxNetwork(const std::string& choice,
                                          const std::vector<std::string>& hosts);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMANDS_SANDBOX_NETWORK_H_
