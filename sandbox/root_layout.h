// What a sandbox sees: the arguments for bubblewrap that make its root.
#ifndef TASKMINT_SANDBOX_ROOT_LAYOUT_H_
#define TASKMINT_SANDBOX_ROOT_LAYOUT_H_

#include <map>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

// Where the proxy's socket is inside.
inline constexpr char kProxySocketInside[] = "/sbx/proxy";

// The root of one sandbox.
struct RootLayout {
  // Arguments that build it, in order. Sources of `staged` are written as the paths they are
  // staged at when `staging` was asked for.
  std::vector<std::string> arguments;
  // Host paths to be staged, in the order of their numbers: path and whether it is written to.
  std::vector<Mount> staged;
  // PATH, LANG, TZ, HOME and, with a proxy, the variables that name it and its certificates.
  std::map<std::string, std::string> variables;
};

// `data_arguments` are spliced in where files are copied into /etc and /sbx. `staging`: host paths
// of mounts are not reachable for the user that bubblewrap runs as.
RootLayout LayOutRoot(const SandboxSpec& spec, const std::vector<std::string>& data_arguments,
                      bool staging);

// True for an absolute path without empty, "." and ".." components, other than "/".
bool IsPlainAbsolutePath(const std::string& path);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ROOT_LAYOUT_H_
