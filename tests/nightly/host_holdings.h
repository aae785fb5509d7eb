// What this process holds of its machine, and what its sandboxes left there.
#ifndef TASKMINT_TESTS_NIGHTLY_HOST_HOLDINGS_H_
#define TASKMINT_TESTS_NIGHTLY_HOST_HOLDINGS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace taskmint::sandbox {

// One look. Other processes may come and go meanwhile, sandboxes of their own too: what they hold
// is not in it.
struct HostHoldings {
  // Of this process: memory after giving back what is free, open files, threads.
  int64_t resident_kib = 0;
  int64_t set_kib = 0;
  int64_t open_files = 0;
  int64_t threads = 0;
  // Each by a text that names it.
  std::set<std::string> mounts;  // of this mount namespace
  std::set<std::string> groups;  // control groups named after this process
  // Below this process, of slot users or not, with those that lost their parent (AdoptOrphans).
  // Slot users alone do not tell: a container beside us may use the same.
  std::set<std::string> descendants;
  std::set<std::string> slots;              // that this process holds
  std::set<std::string> abstract_sockets;   // with our name, other than slots
  std::set<std::string> ipc_objects;        // System V and POSIX, of slot users or of our user
  std::set<std::string> temporary_folders;  // named after this process

  static HostHoldings Look();
};

// What `after` has and `before` has not, a line each, memory left out.
std::vector<std::string> Leftovers(const HostHoldings& before, const HostHoldings& after);

// Processes below this one that lose their parent become its children, so that none gets lost.
void AdoptOrphans();
// Waits for those that have ended, as process 1 does, while no sandbox is open; how many.
int64_t ReapOrphans();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_NIGHTLY_HOST_HOLDINGS_H_
