#include "orchestrator/counted_progress.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "orchestrator/terminal.h"

namespace taskmint::orchestrator {
namespace {

constexpr int64_t kDrawMs = 100;
constexpr int64_t kLineMs = 10'000;
constexpr int64_t kTerminalBeatMs = 1'000;
constexpr int64_t kBeatMs = 30'000;

}  // namespace

std::string CountedProgressText(const std::string& verb, int64_t done, int64_t total,
                                int64_t skipped, int64_t wall_ms) {
  std::string text = std::to_string(done) + "/" + std::to_string(total) + " " + verb;
  if (skipped > 0) text += ", " + std::to_string(skipped) + " skipped";
  if (wall_ms <= 0) return text;
  if (done <= 0) return text + ", " + DurationText(wall_ms / 1000 * 1000) + " so far";
  char rate[48];
  std::snprintf(rate, sizeof rate, ", %.1f tasks/s",
                1'000.0 * static_cast<double>(done) / static_cast<double>(wall_ms));
  return text + rate + ", " + DurationText((total - done) * wall_ms / done / 1000 * 1000) + " left";
}

CountedProgress::CountedProgress(const Clock& clock, std::string verb)
    : clock_(clock),
      verb_(std::move(verb)),
      terminal_(IsTerminal(STDERR_FILENO)),
      begin_ms_(clock.MonotonicMs()),
      shown_ms_(begin_ms_),
      beat_([this](const std::stop_token& stop) { Beat(stop); }) {}

CountedProgress::~CountedProgress() { End(); }

void CountedProgress::Show(int64_t done, int64_t total, int64_t skipped) {
  const std::lock_guard lock(mutex_);
  counts_ = {done, total, skipped};
  const int64_t now_ms = clock_.MonotonicMs();
  if (now_ms - shown_ms_ >= (terminal_ ? kDrawMs : kLineMs)) Draw(now_ms);
}

void CountedProgress::Draw(int64_t now_ms) {
  shown_ms_ = now_ms;
  const std::string text =
      CountedProgressText(verb_, counts_.done, counts_.total, counts_.skipped, now_ms - begin_ms_);
  if (!terminal_) return Complain(text);
  const size_t width = TerminalWidth(STDERR_FILENO);
  std::fprintf(stderr, "\r\033[K%s", CutToWidth(text, width > 1 ? width - 1 : 80).c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void CountedProgress::Beat(const std::stop_token& stop) {
  const int64_t quiet_ms = terminal_ ? kTerminalBeatMs : kBeatMs;
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, std::chrono::milliseconds(quiet_ms), [] { return false; });
    if (stop.stop_requested()) return;
    const int64_t now_ms = clock_.MonotonicMs();
    if (counts_.total > 0 && now_ms - shown_ms_ >= quiet_ms) Draw(now_ms);
  }
}

void CountedProgress::End() {
  if (beat_.joinable()) {
    beat_.request_stop();
    beat_.join();
  }
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace taskmint::orchestrator
