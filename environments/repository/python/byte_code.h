// Byte code of sources and of layers, made once for equal content.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BYTE_CODE_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BYTE_CODE_H_

#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// Byte code of a repository's own sources, shared by states of different patches: it is compiled
// before any code of a state ran where it is compiled, and kept in memory by environment, path and
// content.
struct ByteCode {
  // The .pyc files (below __pycache__ folders) that are known.
  FileTree known;
  // Sources that are worth compiling; empty where they are few: the run itself compiles them.
  std::vector<std::string> missing;
};
// Of those of `paths` that are Python sources of `tree`. Thread-safe.
ByteCode FindByteCode(const BuiltEnvironment& built, const FileTree& tree,
                      const std::set<std::string>& paths);
// Keeps what was compiled of `sources`, which are of `tree`; a source without any is not compiled
// again. Thread-safe.
void KeepByteCode(const BuiltEnvironment& built, const FileTree& tree,
                  const std::vector<std::string>& sources, const FileTree& code);

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
