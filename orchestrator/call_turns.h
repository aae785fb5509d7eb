// Places for calls that run at once, and a line before them.
#ifndef TASKMINT_ORCHESTRATOR_CALL_TURNS_H_
#define TASKMINT_ORCHESTRATOR_CALL_TURNS_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// At most `running_max` run at once; up to `waiting_max` wait for their turn, at most `wait_max`,
// and are served in the order in which they came. Thread-safe.
class CallTurns {
 public:
  // `what`: what is limited, in the plural, for whom is turned away.
  CallTurns(std::string what, int64_t running_max, int64_t waiting_max,
            std::chrono::milliseconds wait_max)
      : what_(std::move(what)),
        running_max_(running_max),
        waiting_max_(waiting_max),
        wait_max_(wait_max) {}

  // A place among those that run; given back when destroyed.
  class Turn {
   public:
    explicit Turn(CallTurns* turns) : turns_(turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->GiveBack();
    }

   private:
    CallTurns* turns_;
  };

  // RESOURCE_EXHAUSTED (agent) where the line is too long, at once, or its turn did not come, with
  // how many run and wait; CANCELLED (agent) by the token.
  Result<Turn> Take(const std::stop_token& stop);
  // Until nothing runs or waits.
  void AwaitNone();
  int64_t running() const;
  int64_t waiting() const;

 private:
  struct Waiter {};

  Status Busy() const;
  void GiveBack();

  const std::string what_;
  const int64_t running_max_;
  const int64_t waiting_max_;
  const std::chrono::milliseconds wait_max_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Waiter> line_;  // the first comes next
  int64_t running_ = 0;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_CALL_TURNS_H_
