// Files and folders of the host that the user names, as a tree to be put into a sandbox.
#ifndef TASKMINT_ORCHESTRATOR_HOST_TREE_H_
#define TASKMINT_ORCHESTRATOR_HOST_TREE_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

struct HostTree {
  FileTree tree;
  // Permission bits -> paths, of those that a tree does not hold: neither 0644 nor 0755.
  std::map<mode_t, std::vector<std::string>> modes;
};

// The regular files and symbolic links below `path`, or the one file that it is, under `name`; of a
// folder's, the paths begin with `name` unless that is empty. `path` itself may be a link.
// INVALID_ARGUMENT (config) says what is wrong: missing, unreadable, neither file nor folder, or
// more than 200,000 files or 2 GiB.
Result<HostTree> ReadHostTree(const std::string& path, const std::string& name);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_HOST_TREE_H_
