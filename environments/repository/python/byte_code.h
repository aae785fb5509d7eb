// Byte code of sources and of layers, made once for equal content.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BYTE_CODE_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BYTE_CODE_H_

#include <set>
#include <stop_token>
#include <string>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// The .pyc files (below __pycache__ folders) of those of `paths` that are Python sources of `tree`,
// as the interpreter of `built` and its pytest would write them for files of time
// `modified_s` in /work. Compiled in a sandbox that runs no code of the repository, so that states
// of different patches may share them; kept in memory by environment, path and content. What is
// little is left to the run itself; what fails is left out. Thread-safe.
FileTree ByteCodeOfSources(sandbox::SandboxHost& sandboxes, const BuiltEnvironment& built,
                           const FileTree& tree, const std::set<std::string>& paths,
                           int64_t modified_s, std::stop_token stop);

// The .pyc files of the packages in `layer`, the one at /venv, by their path in it: as the base's
// interpreter and the layer's pytest would write them. Equal for equal layers whose pytest rewrites
// equally. UNAVAILABLE or ABORTED where no sandbox opens, CANCELLED by the token; what a layer does
// against being compiled leaves its byte code out, and is no error.
Result<FileTree> ByteCodeOfLayer(sandbox::SandboxHost& sandboxes, const sandbox::Mount& layer,
                                 std::stop_token stop);

// Byte code in `found` that stands beside a source of `tree`.
FileTree ByteCodeBeside(const FileTree& found, const FileTree& tree);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BYTE_CODE_H_
