// Layers and what is written over them, as one mount.
#ifndef TASKMINT_SANDBOX_AGENT_LAYER_MOUNTS_H_
#define TASKMINT_SANDBOX_AGENT_LAYER_MOUNTS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/agent/root_builder.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// Descriptors of layers, in their order: of images to be read, of folders as read-only, private
// copies of what is mounted there. 0, or 1 with a line on standard error.
int OpenLayers(const std::vector<LayerSource>& layers, std::vector<UniqueFd>* opened);

// Mounts them at the folder `target`, making folders whose names begin with it: their owner is the
// user `uid` (0: as they are) where something is written over them. 0, or 1 with a line on standard
// error.
int MountLayers(const BuildStep& step, const std::vector<UniqueFd>& opened,
                const std::string& target, uid_t uid);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_LAYER_MOUNTS_H_
