// What is mounted inside.
#ifndef TASKMINT_SANDBOX_AGENT_MOUNTS_H_
#define TASKMINT_SANDBOX_AGENT_MOUNTS_H_

#include <string>
#include <vector>

namespace taskmint::sandbox {

struct WritableMount {
  std::string path;
  std::string type;  // "tmpfs", "proc", ...
};

// All mounts that this process may write to, in the order of mounting; empty where /proc is
// missing.
std::vector<WritableMount> WritableMounts();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_MOUNTS_H_
