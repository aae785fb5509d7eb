// The files of a clone, as they leave a sandbox and become a bare repository of ours.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_IMPORTED_FILES_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_IMPORTED_FILES_H_

#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::environments {

// True when `path` is a complete import with this mark.
bool IsImported(const std::string& path, const std::string& mark);

// Writes a bare clone's objects and references to the folder `path`, replacing it, in one step:
// whatever else stands in `files` (configuration, hooks, links) is left out. The configuration is
// written anew, with `origin_url` as origin when it is not empty. HEAD follows an existing branch.
// FAILED_PRECONDITION for sha256 and for a clone without any commit; RESOURCE_EXHAUSTED or INTERNAL
// (environment) when the disk is full or refuses.
Status WriteImported(const FileTree& files, const std::string& origin_url, const std::string& mark,
                     const std::string& path);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_IMPORTED_FILES_H_
