#include "orchestrator/counted_progress.h"

#include <unistd.h>

#include <cstdio>

#include "orchestrator/terminal.h"

namespace taskmint::orchestrator {

std::string CountedProgressText(const std::string& verb, int64_t done, int64_t total,
                                int64_t skipped, int64_t wall_ms) {
  std::string text = std::to_string(done) + "/" + std::to_string(total) + " " + verb;
  if (skipped > 0) text += ", " + std::to_string(skipped) + " skipped";
  if (done <= 0 || wall_ms <= 0) return text;
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
      shown_ms_(begin_ms_) {}

CountedProgress::~CountedProgress() { End(); }

void CountedProgress::Show(int64_t done, int64_t total, int64_t skipped) {
  const int64_t now_ms = clock_.MonotonicMs();
  if (now_ms - shown_ms_ < (terminal_ ? 100 : 10'000)) return;
  shown_ms_ = now_ms;
  const std::string text = CountedProgressText(verb_, done, total, skipped, now_ms - begin_ms_);
  if (!terminal_) return Complain(text);
  const size_t width = TerminalWidth(STDERR_FILENO);
  std::fprintf(stderr, "\r\033[K%s", CutToWidth(text, width > 1 ? width - 1 : 80).c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void CountedProgress::End() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace taskmint::orchestrator
