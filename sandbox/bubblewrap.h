// From a spec to a running bubblewrap with the agent inside.
#ifndef TASKMINT_SANDBOX_BUBBLEWRAP_H_
#define TASKMINT_SANDBOX_BUBBLEWRAP_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/abilities.h"
#include "sandbox/cgroup.h"
#include "sandbox/channel.h"
#include "sandbox/process.h"
#include "sandbox/sandbox.h"
#include "sandbox/staging_namespace.h"

namespace taskmint::sandbox {

// A user id that no other open sandbox of this machine has; nothing (uid 0) when not root.
class Slot {
 public:
  // RESOURCE_EXHAUSTED when all are taken.
  static Result<Slot> Take();
  // Whether this user id is one of those, taken or not.
  static bool IsOne(uid_t uid);
  uid_t uid() const { return uid_; }

 private:
  uid_t uid_ = 0;
  // An abstract socket whose name stands for the slot: the kernel frees it, however we end.
  UniqueFd claim_;
};

// Walls that can be left out on purpose, to see that what they stand against is noticed without
// them.
struct Walls {
  bool system_call_filter = true;
  bool network_namespace = true;
  bool user_drop = true;  // from root to the slot's user
  bool second = true;     // Landlock
};

// What every sandbox of this process shares. Immutable, thread-safe.
struct HostParts {
  std::string bwrap_path;
  Abilities abilities;
  Walls walls;
  CgroupHome cgroups;
  UniqueFd agent;                                           // memory file, executable
  std::unique_ptr<Staging> staging;                         // nothing without Abilities::stage
  UniqueFd seccomp;                                         // memory file
  std::vector<std::pair<std::string, UniqueFd>> etc_files;  // path inside, memory file
};
// UNAVAILABLE with the mend, for a wall that this machine cannot give unless `weak`.
Result<std::shared_ptr<const HostParts>> MakeHostParts(const Walls& walls = {}, bool weak = false);
// As MakeBubblewrapHost. Never for anything untrusted, unless all walls stand.
Result<std::unique_ptr<SandboxHost>> MakeHostWithWalls(const Walls& walls, bool weak = false);
// Where bubblewrap is; empty when it is nowhere.
std::string FindBubblewrap();

// A running agent and everything that dies with it.
struct Session {
  // Processes of a control group that are not the code's: the agent and bubblewrap.
  static constexpr int64_t kOwnProcesses = 2;

  ~Session() { Kill(); }
  // Kills what is inside, waits, and gives back group and slot. Idempotent.
  void Kill();

  std::unique_ptr<Channel> channel;
  ChildProcess monitor;  // bubblewrap outside
  UniqueFd init;         // pidfd of the agent
  std::unique_ptr<Cgroup> cgroup;
  Slot slot;
  // PATH, LANG, ... and the spec's, merged.
  std::map<std::string, std::string> variables;
};

// INVALID_ARGUMENT for a spec that contradicts itself.
Status CheckSpec(const SandboxSpec& spec);

// Starts bubblewrap and waits for the agent's first word.
Result<std::shared_ptr<Session>> OpenSession(const HostParts& parts, const SandboxSpec& spec,
                                             std::stop_token stop);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_BUBBLEWRAP_H_
