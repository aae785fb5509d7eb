// The files of a clone, as they leave a sandbox and become a bare repository of ours.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_IMPORTED_FILES_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_IMPORTED_FILES_H_

#include <filesystem>
#include <functional>
#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::environments {

// Writes a bare clone's objects and references to the folder `folder`/NAME, where `name` makes NAME
// from the SHA of its HEAD, in one step, and returns that folder. One that stands there already
// stays as it is: another process wrote it meanwhile. Whatever else stands in `files`
// (configuration, hooks, links) is left out. The configuration is written anew, with `origin_url`
// as origin when it is not empty. HEAD follows an existing branch. FAILED_PRECONDITION for sha256,
// for a clone without any commit and for one that cannot be read; RESOURCE_EXHAUSTED or INTERNAL
// (environment) when the disk is full or refuses.
Result<std::filesystem::path> WriteImported(
    const FileTree& files, const std::string& origin_url, const std::filesystem::path& folder,
    const std::function<std::string(const std::string& head)>& name);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_IMPORTED_FILES_H_
