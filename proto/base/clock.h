// Time as a parameter, so that leases and budgets can be tested without waiting.
#ifndef TASKMINT_PROTO_BASE_CLOCK_H_
#define TASKMINT_PROTO_BASE_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>

namespace taskmint {

// Milliseconds. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Since the epoch.
  virtual int64_t NowMs() const = 0;
  // Monotonic, from an arbitrary start.
  virtual int64_t MonotonicMs() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t NowMs() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch()).count();
  }
  int64_t MonotonicMs() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

// Stands still until it is told to move.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t now_ms = 1'000'000) : now_ms_(now_ms) {}
  int64_t NowMs() const override { return now_ms_; }
  int64_t MonotonicMs() const override { return now_ms_; }
  void AdvanceMs(int64_t ms) { now_ms_ += ms; }

 private:
  std::atomic<int64_t> now_ms_;
};

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_CLOCK_H_
