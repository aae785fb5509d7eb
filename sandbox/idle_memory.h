// What sandboxes that are open and do nothing hold.
#ifndef TASKMINT_SANDBOX_IDLE_MEMORY_H_
#define TASKMINT_SANDBOX_IDLE_MEMORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "proto/base/status.h"
#include "sandbox/bubblewrap.h"

namespace taskmint::sandbox {

// All sizes are means of one sandbox, in KiB.
struct IdleMemory {
  // Open at once, and why not as many as were asked for; empty: they all were.
  int64_t sandboxes = 0;
  std::string stopped_by;
  // Each sandbox ran one command, and is idle since.
  double processes = 0;  // of a sandbox, on the host
  // The proportional set size of these processes, and what of it is memory of their own. Of a
  // process that we may not look into (the agent, where we are not root), its resident private
  // pages stand for it: what is shared is not counted.
  double set_kib = 0;
  double anonymous_kib = 0;
  // What its control group was charged with, and parts of it: files in memory (the agent's copy,
  // /etc) and the kernel's own. 0 where there is no group.
  double group_kib = 0;
  double group_files_kib = 0;
  double group_kernel_kib = 0;
  // The sum of both. Memory of the processes' own is in both: it is an upper bound.
  double total_kib = 0;
  // By which the machine's available memory fell; others take and give as well.
  double machine_kib = 0;
};

// Opens `count` sandboxes, lets each run one command, looks, and closes them. Raises this process's
// soft limit of open files as far as that needs. Errors as SandboxHost::Open for the first; beyond
// it, what cannot be opened is `stopped_by`. `tell` is given the number after each.
Result<IdleMemory> MeasureIdleMemory(const std::shared_ptr<const HostParts>& parts, int64_t count,
                                     const std::function<void(int64_t)>& tell,
                                     const std::stop_token& stop);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_IDLE_MEMORY_H_
