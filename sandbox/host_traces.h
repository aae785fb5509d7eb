// What a sandbox could leave on this machine, or change of it.
#ifndef TASKMINT_SANDBOX_HOST_TRACES_H_
#define TASKMINT_SANDBOX_HOST_TRACES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace taskmint::sandbox {

// One look at this machine, as far as this user can see it. What other programs of the machine do
// meanwhile is left out as far as it can be told apart: processes, groups and files count where
// they are a sandbox's of this process. Not thread-safe to make; no sandbox of this process should
// be open. Cost: about 20 ms.
class HostTraces {
 public:
  static HostTraces Look();

  // What is not as it was, a line each, sorted: "mount: ...", "process: ...". Empty: nothing.
  std::vector<std::string> ChangesSince(const HostTraces& before) const;

 private:
  HostTraces() = default;

  // What must not appear: agents and their monitors, control groups, mounts, descriptors of ours,
  // IPC objects (System V, POSIX), files in the folders that all may write to.
  std::set<std::string> left_;
  // What must stay as it is: settings of the kernel, host and domain name, network interfaces and
  // routes, files that steer logins and programs.
  std::map<std::string, std::string> settings_;
  // Wall clock minus boot clock, in milliseconds.
  int64_t clock_offset_ms_ = 0;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_HOST_TRACES_H_
