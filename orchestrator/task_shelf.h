// Loaded tasks, shared by the episodes that play them.
#ifndef TASKMINT_ORCHESTRATOR_TASK_SHELF_H_
#define TASKMINT_ORCHESTRATOR_TASK_SHELF_H_

#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>

#include "datasets/store.h"
#include "orchestrator/episode.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// Every task that somebody plays is loaded once, and the last few stay loaded when nobody does: at
// most `entries_max` and, but for the latest, `bytes_max` of files. Thread-safe.
class TaskShelf {
 public:
  using Entry = std::shared_ptr<const LoadedTask>;
  TaskShelf(datasets::Store& store, sandbox::SandboxHost& sandboxes, size_t entries_max = 16,
            uint64_t bytes_max = uint64_t{256} << 20)
      : store_(store), sandboxes_(sandboxes), entries_max_(entries_max), bytes_max_(bytes_max) {}

  // Errors of LoadTask. Of the threads that want the same task, one loads it, and the others wait;
  // CANCELLED (agent) when stopped meanwhile.
  Result<Entry> Load(const std::string& id, std::stop_token stop);

 private:
  // Both under the mutex. `id`: a whole one.
  Entry Find(const std::string& id);
  void PutFirst(const Entry& entry);

  datasets::Store& store_;
  sandbox::SandboxHost& sandboxes_;
  const size_t entries_max_;
  const uint64_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable_any loaded_;
  std::set<std::string> loading_;  // whole ids of tasks of the store, never what a caller made up
  std::map<std::string, std::weak_ptr<const LoadedTask>> played_;
  std::list<Entry> latest_;  // the latest first
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_TASK_SHELF_H_
