// The parts of a sandbox's root that come from a base of its own.
#ifndef TASKMINT_SANDBOX_BASE_LAYOUT_H_
#define TASKMINT_SANDBOX_BASE_LAYOUT_H_

#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/base_tree.h"
#include "sandbox/root_step.h"

namespace taskmint::sandbox {

// Where a path inside will be put by others.
struct TakenPlace {
  std::string path;
  // It is made, so that all above it must be ours; else it is mounted, which a folder of the base
  // is good for, too.
  bool made = false;
};

// Steps that show `base` read-only at the root, around the places that are taken: a folder with one
// of them below is ours, with the base's entries in it. What would stand in a place's way is left
// out, links above all: who builds the root would follow them. INVALID_ARGUMENT where more than 600
// entries would have to be shown one by one.
Result<std::vector<RootStep>> LayOutBase(const BaseTree& base,
                                         const std::vector<TakenPlace>& places);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_BASE_LAYOUT_H_
