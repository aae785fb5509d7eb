// Bounds how much is done at once by turning away what is too much, never by queueing it.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_SLOTS_H_
#define TASKMINT_ORCHESTRATOR_SERVING_SLOTS_H_

#include <atomic>
#include <cstdint>

namespace taskmint::orchestrator {

// One of `most` slots that `used` counts, for as long as it lives, where one was free.
class Slot {
 public:
  Slot(std::atomic<int64_t>& used, int64_t most) : used_(used), taken_(++used <= most) {
    if (!taken_) --used_;
  }
  ~Slot() {
    if (taken_) --used_;
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  bool taken() const { return taken_; }

 private:
  std::atomic<int64_t>& used_;
  const bool taken_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_SLOTS_H_
