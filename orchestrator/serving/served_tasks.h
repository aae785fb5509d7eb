// Kept tasks as clients ask for them, remembered for a moment.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_SERVED_TASKS_H_
#define TASKMINT_ORCHESTRATOR_SERVING_SERVED_TASKS_H_

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "datasets/store.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::orchestrator {

// Reads tasks from a store and keeps the latest few thousand for two seconds each: trainers ask for
// the same ones by the thousand, and a task changes only when another run begins. Thread-safe.
class ServedTasks {
 public:
  ServedTasks(datasets::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // A kept task with its evidence, by id or a prefix of at least 6 digits. Errors as FindServed.
  using Entry = std::shared_ptr<const v1::Candidate>;
  Result<Entry> Find(const std::string& id);
  // The same without what must not be shown, see PublicTask: a v1::Task in its wire form.
  using PublicEntry = std::shared_ptr<const std::string>;
  Result<PublicEntry> FindPublic(const std::string& id);

 private:
  struct Place {
    Entry candidate;
    PublicEntry task;
    int64_t read_ms = 0;
    std::list<std::string>::iterator age;
  };
  Result<Place> Read(const std::string& id);

  datasets::Store& store_;
  const Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Place> places_;
  std::list<std::string> ages_;  // the latest first
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_SERVED_TASKS_H_
