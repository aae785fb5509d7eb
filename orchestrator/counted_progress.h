// Progress of commands that go through a known number of tasks, on standard error.
#ifndef TASKMINT_ORCHESTRATOR_COUNTED_PROGRESS_H_
#define TASKMINT_ORCHESTRATOR_COUNTED_PROGRESS_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "proto/base/clock.h"

namespace taskmint::orchestrator {

// "120/1000 exported, 3 skipped, 212.5 tasks/s, 4 s left"; "0/2 exported, 1 min 10 s so far".
std::string CountedProgressText(const std::string& verb, int64_t done, int64_t total,
                                int64_t skipped, int64_t wall_ms);

// On a terminal one line that is written over, at most ten times a second; elsewhere a line every
// ten seconds, and every half minute while nothing is finished. Thread-safe.
class CountedProgress {
 public:
  CountedProgress(const Clock& clock, std::string verb);
  ~CountedProgress();
  CountedProgress(const CountedProgress&) = delete;
  CountedProgress& operator=(const CountedProgress&) = delete;

  void Show(int64_t done, int64_t total, int64_t skipped);
  // Clears the line, so that what is printed next begins on its own.
  void End();

 private:
  struct Counts {
    int64_t done = 0;
    int64_t total = 0;
    int64_t skipped = 0;
  };
  void Draw(int64_t now_ms);
  // Tells that it still goes on.
  void Beat(const std::stop_token& stop);

  const Clock& clock_;
  const std::string verb_;
  const bool terminal_;
  const int64_t begin_ms_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  Counts counts_;
  int64_t shown_ms_;
  bool drawn_ = false;
  std::jthread beat_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COUNTED_PROGRESS_H_
