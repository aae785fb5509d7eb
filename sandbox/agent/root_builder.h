// What the launcher mounts before bubblewrap binds it: a sandbox's whole root, in a copy of the
// staging namespace that dies with it.
#ifndef TASKMINT_SANDBOX_AGENT_ROOT_BUILDER_H_
#define TASKMINT_SANDBOX_AGENT_ROOT_BUILDER_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace taskmint::sandbox {

struct LayerSource {
  std::string path;
  bool image = false;  // EROFS; else a folder
};

// As RootStep (sandbox/root_step.h), which says what each does.
struct BuildStep {
  enum class Kind {
    kLink,
    kFolder,
    kData,
    kStaged,
    kShow,
    kOwn,
    kBelow,
    kMemory,
    kHideFolder,
    kHideFile,
    kSeal,
    kLayers
  };
  Kind kind = Kind::kFolder;
  std::string place;
  // A path, a link's target, the number of a descriptor, or the options of a tmpfs; empty for
  // layers over which nothing is written.
  std::string source;
  std::string base;
  mode_t mode = 0;
  std::vector<LayerSource> layers;
};

struct RootPlan {
  // Descriptors of the staging namespace and of the user namespace that it belongs to, -1: ours.
  int staging = -1;
  int owner = -1;
  // Who will run in it; 0: this process's user.
  uid_t uid = 0;
  // Options of the tmpfs at /dev/shm; empty: no /dev is made.
  std::string shared_memory;
  std::vector<BuildStep> steps;
};

// Enters a copy of the staging namespace and builds the root at kStagedRoot, read-only after the
// last step; what it makes belongs to `uid`. Host folders may lie where that user cannot go (below
// /root): they are found while we still may. Without a staging namespace it gives away the folders
// of kOwn, no more. 0, or 1 with a line on standard error.
int BuildRoot(const RootPlan& plan);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_ROOT_BUILDER_H_
