#include "orchestrator/wall_budget.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace taskmint::orchestrator {

WallBudget::WallBudget(int64_t wall_minutes_max, const std::stop_token& outer)
    : forward_(outer, [this] { source_.request_stop(); }) {
  if (wall_minutes_max == 0) return;
  timer_ = std::jthread([this, wall_minutes_max](const std::stop_token& end) {
    std::mutex mutex;
    std::condition_variable_any waiting;
    std::unique_lock lock(mutex);
    waiting.wait_for(lock, end, std::chrono::minutes(wall_minutes_max), [] { return false; });
    if (end.stop_requested()) return;
    spent_ = true;
    source_.request_stop();
  });
}

}  // namespace taskmint::orchestrator
