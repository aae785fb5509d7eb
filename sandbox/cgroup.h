// Control groups for memory and processes, version 1 or 2, where they are ours to make.
#ifndef TASKMINT_SANDBOX_CGROUP_H_
#define TASKMINT_SANDBOX_CGROUP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::sandbox {

// Where groups can be made on this machine.
struct CgroupHome {
  enum class Kind { kNone, kV1, kV2 };
  Kind kind = Kind::kNone;
  // Folders in which a sandbox's group is made. V2: one, for all; empty where it is missing.
  std::string memory_folder;
  std::string processes_folder;
  std::string cpu_folder;  // V1: of cpuacct; empty where it is missing
  // What was found, for a person.
  std::string detail;
};

// Looks at /proc/self/cgroup and the mounts, and tries: makes and removes a group. An ordinary user
// can in a group that was given to them (cgroup v2: `systemd-run --user --scope -p Delegate=yes`;
// v1: a folder that is theirs). Where our own group of version 2 was given to us, as in a container
// or a scope, its processes move into a child of it. Removes groups that dead processes of ours
// left. Cost: about 1 ms.
CgroupHome FindCgroupHome();

// Tells the kills that a group's own limit asked for from others, by the counts that cgroup v2
// keeps of both. The kernel counts a hit before it kills, and several hits where several threads
// stood before one limit. Not thread-safe.
class KillLedger {
 public:
  // Given both counts so far, whether something else has killed since the last call. A hit answers
  // for one kill, by the call after the one that saw it.
  bool HasForeignKill(uint64_t kills, uint64_t hits);

 private:
  uint64_t kills_ = 0;
  uint64_t spent_hits_ = 0;
  uint64_t last_hits_ = 0;
};

// One sandbox's groups. Not thread-safe. Destroying it removes them, once what was inside is dead.
class Cgroup {
 public:
  // ABORTED (sandbox) when the group cannot be made.
  static Result<std::unique_ptr<Cgroup>> Make(const CgroupHome& home, int64_t memory_bytes_max,
                                              int64_t processes_max);
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  // The files through which a process joins.
  std::vector<std::string> JoinPaths() const;
  // True when memory is limited by this group.
  bool limits_memory() const { return !memory_folder_.empty(); }
  // The same of processes.
  bool limits_processes() const { return !processes_folder_.empty(); }
  // Processes killed for want of memory so far.
  uint64_t MemoryKills() const;
  // Processes and threads refused at the limit so far.
  uint64_t ProcessRefusals() const;
  // User and system time of all that ran in it, in microseconds; nothing where it is not counted.
  std::optional<uint64_t> CpuMicroseconds() const;
  // The most memory used so far, in bytes, and the most processes and threads at once; 0 where the
  // kernel does not count.
  uint64_t MemoryPeakBytes();
  uint64_t ProcessesPeak() const;
  // Whether a process was killed for want of memory since the last call although the group stayed
  // below its own limit: then it was the machine's that ran out.
  bool HostRanOutOfMemory();

 private:
  Cgroup() = default;
  // cgroup v1: whether the group's own limit stood in the way since the last call.
  bool WasFull();

  KillLedger ledger_;
  uint64_t seen_kills_ = 0;
  std::vector<std::string> folders_;
  std::string memory_folder_;
  std::string processes_folder_;
  std::string cpu_folder_;
  uint64_t memory_peak_ = 0;  // before the kernel's mark was last reset
  CgroupHome::Kind kind_ = CgroupHome::Kind::kNone;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_CGROUP_H_
