// What a sandbox sees: the steps that build its root.
#ifndef TASKMINT_SANDBOX_ROOT_LAYOUT_H_
#define TASKMINT_SANDBOX_ROOT_LAYOUT_H_

#include <map>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/abilities.h"
#include "sandbox/root_step.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

// Where the agent, and the socket of the proxy or the package cache, are inside.
inline constexpr char kAgentInside[] = "/sbx/agent";
inline constexpr char kProxySocketInside[] = "/sbx/proxy";

// The root of one sandbox.
struct RootLayout {
  // In order; the root is read-only after the last.
  std::vector<RootStep> steps;
  // What only bubblewrap can mount, from inside the new namespaces, once that is done: /proc.
  std::vector<std::string> kernel_arguments;
  // What goes to /dev/shm, once there is a /dev.
  RootStep shared_memory;
  // PATH, LANG, TZ, HOME, PYTHONHASHSEED and, with a proxy, the variables that name it and its
  // certificates.
  std::map<std::string, std::string> variables;
};

// `files` are those of /etc and /sbx that are not the base's. Where a sandbox may have no /proc of
// its own, it has this process's, read-only. INVALID_ARGUMENT for a base that is none, UNAVAILABLE
// for layers that cannot be shown where our launcher may not mount.
Result<RootLayout> LayOutRoot(const SandboxSpec& spec, const std::vector<RootStep>& files,
                              const Abilities& abilities);

// INVALID_ARGUMENT for layers that are not there, too many or too few, or that only root mounts.
Status CheckLayers(const SandboxSpec& spec);

// True for an absolute path without empty, "." and ".." components, other than "/".
bool IsPlainAbsolutePath(const std::string& path);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ROOT_LAYOUT_H_
