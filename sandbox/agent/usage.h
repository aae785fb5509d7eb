// What the processes inside have used.
#ifndef TASKMINT_SANDBOX_AGENT_USAGE_H_
#define TASKMINT_SANDBOX_AGENT_USAGE_H_

#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <vector>

namespace taskmint::sandbox {

// User and system time of a process, in microseconds.
uint64_t CpuMicroseconds(const rusage& usage);

// The same of everything that runs or ran inside but the agent, in steps of the kernel's tick.
// Cost: one small file of /proc a process.
uint64_t CpuMicrosecondsInside();

// The file systems in memory that can be written to, as they are mounted when it is made: nobody
// inside may mount. Cost of each call: a system call a file system.
class WritableFileSystems {
 public:
  WritableFileSystems();
  uint64_t UsedBytes() const;
  // Whether one has no room, for bytes or for files.
  bool AnyIsFull() const;

 private:
  std::vector<std::string> paths_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_USAGE_H_
