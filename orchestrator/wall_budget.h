// A stop token that fires when time is up, or when another one does.
#ifndef TASKMINT_ORCHESTRATOR_WALL_BUDGET_H_
#define TASKMINT_ORCHESTRATOR_WALL_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <thread>

namespace taskmint::orchestrator {

class WallBudget {
 public:
  // 0 minutes: no limit.
  WallBudget(int64_t wall_minutes_max, const std::stop_token& outer);

  std::stop_token token() const { return source_.get_token(); }
  // Time was up.
  bool spent() const { return spent_; }

 private:
  std::stop_source source_;
  std::stop_callback<std::function<void()>> forward_;
  std::atomic<bool> spent_{false};
  std::jthread timer_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_WALL_BUDGET_H_
