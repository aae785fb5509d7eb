#include "orchestrator/call_turns.h"

namespace taskmint::orchestrator {

Result<CallTurns::Turn> CallTurns::Take(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (running_ < running_max_ && line_.empty()) {
    ++running_;
    return Turn(this);
  }
  if (static_cast<int64_t>(line_.size()) >= waiting_max_) return Busy();
  const auto place = line_.insert(line_.end(), Waiter{});
  const bool free = changed_.wait_for(
      lock, stop, wait_max_, [&] { return running_ < running_max_ && line_.begin() == place; });
  const bool stopped = stop.stop_requested();
  const Status busy = Busy();
  line_.erase(place);
  // The next one is first now, and there may be room for it.
  changed_.notify_all();
  if (stopped) return Status(Code::kCancelled, Boundary::kAgent, "interrupted before the call");
  if (!free) return busy;
  ++running_;
  return Turn(this);
}

void CallTurns::AwaitNone() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0 && line_.empty(); });
}

int64_t CallTurns::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

int64_t CallTurns::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(line_.size());
}

Status CallTurns::Busy() const {
  return {Code::kResourceExhausted, Boundary::kAgent,
          std::to_string(running_) + " " + what_ + " run at once, which is the limit, and " +
              std::to_string(line_.size()) + " wait: try again in a moment"};
}

void CallTurns::GiveBack() {
  const std::lock_guard lock(mutex_);
  --running_;
  changed_.notify_all();
}

}  // namespace taskmint::orchestrator
