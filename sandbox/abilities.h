// What bubblewrap and our launcher may do on this machine: containers forbid some of it.
#ifndef TASKMINT_SANDBOX_ABILITIES_H_
#define TASKMINT_SANDBOX_ABILITIES_H_

#include <string>

#include "sandbox/fd.h"
#include "sandbox/staging_namespace.h"

namespace taskmint::sandbox {

struct Abilities {
  // Our launcher may mount, and bubblewrap bind what it mounted. Needs Linux 5.12.
  bool stage = true;
  // Why not.
  std::string stage_refusal;
  // As root: it may also map owners, which layers that are written over need, and mount images. Not
  // without CAP_SYS_ADMIN.
  bool map_owners = true;
  // A sandbox may have a /proc of its own. Not where a container hides parts of its own one: the
  // kernel lets nobody uncover them.
  bool own_proc = true;
  // It may have a host name of its own.
  bool host_name = true;
  // bubblewrap may forbid further user namespaces; the system call filter does as well.
  bool disable_userns = true;
};

// Tries it, by processes that end at once. `agent` is our own program, `staging` where it mounts or
// nothing, `has_disable_userns` whether this bubblewrap knows the option. Where no namespace can be
// made at all, only `stage` is false: opening a sandbox says why. Cost: about 10 ms where
// everything works, 50 ms elsewhere.
Abilities FindAbilities(const std::string& bwrap_path, const UniqueFd& agent,
                        const StagingNamespace* staging, bool has_disable_userns);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ABILITIES_H_
