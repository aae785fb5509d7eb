// What a sandbox sees: the arguments for bubblewrap that make its root.
#ifndef TASKMINT_SANDBOX_ROOT_LAYOUT_H_
#define TASKMINT_SANDBOX_ROOT_LAYOUT_H_

#include <map>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/abilities.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

// Where the agent, and the socket of the proxy or the package cache, are inside.
inline constexpr char kAgentInside[] = "/sbx/agent";
inline constexpr char kProxySocketInside[] = "/sbx/proxy";

// The root of one sandbox.
struct RootLayout {
  // Arguments that build it, in order. What is staged is written as the path it is staged at.
  std::vector<std::string> arguments;
  // Arguments for our launcher, which stages mounts, in the order of their numbers, before
  // bubblewrap begins; empty where it may not.
  std::vector<std::string> stages;
  // PATH, LANG, TZ, HOME, PYTHONHASHSEED and, with a proxy, the variables that name it and its
  // certificates.
  std::map<std::string, std::string> variables;
};

// `data_arguments` are spliced in where files are copied into /etc and /sbx. Where our launcher may
// mount, file systems in memory have a limit of inodes, and host paths of mounts need not be
// reachable for the user that bubblewrap runs as. Where a sandbox may have no /proc of its own, it
// has this process's, read-only. `agent_path`: where not empty, the agent's file on the host, which
// is mounted; only where our launcher may mount. INVALID_ARGUMENT for a base that is none,
// UNAVAILABLE for layers that cannot be shown where our launcher may not mount.
Result<RootLayout> LayOutRoot(const SandboxSpec& spec,
                              const std::vector<std::string>& data_arguments,
                              const Abilities& abilities, const std::string& agent_path);

// INVALID_ARGUMENT for layers that are not there, too many or too few, or that only root mounts.
Status CheckLayers(const SandboxSpec& spec);

// True for an absolute path without empty, "." and ".." components, other than "/".
bool IsPlainAbsolutePath(const std::string& path);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ROOT_LAYOUT_H_
