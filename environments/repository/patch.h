// Applying a foreign patch, inside a sandbox.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PATCH_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PATCH_H_

#include <stop_token>
#include <string_view>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::environments {

// `base` with `patch` applied by the git program in a sandbox. An empty patch gives `base`.
// INVALID_ARGUMENT (environment) with git's own message when it does not apply or is no patch;
// RESOURCE_EXHAUSTED beyond 64 MiB of patch. One sandbox opened and closed.
Result<FileTree> ApplyPatch(sandbox::SandboxHost& host, const FileTree& base,
                            std::string_view patch, std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PATCH_H_
