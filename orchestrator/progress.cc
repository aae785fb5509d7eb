#include "orchestrator/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "orchestrator/terminal.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {

std::string ProgressText(const RunProgress& begin, const RunProgress& now, int64_t wall_ms,
                         int64_t tasks_max) {
  std::string text = std::to_string(now.decided) + "/" + std::to_string(now.candidates) +
                     " decided, " + std::to_string(now.kept) + " kept";
  const int64_t decided = now.decided - begin.decided;
  if (decided <= 0 || wall_ms <= 0) return text;
  const int64_t kept = now.kept - begin.kept;
  char rate[48];
  std::snprintf(rate, sizeof rate, ", %.1f tasks/min",
                60'000.0 * static_cast<double>(kept) / static_cast<double>(wall_ms));
  int64_t left_ms = (now.candidates - now.decided) * wall_ms / decided;
  if (tasks_max > 0 && kept > 0) {
    left_ms = std::min(left_ms, std::max<int64_t>(0, tasks_max - now.kept) * wall_ms / kept);
  }
  return text + rate + ", " + DurationText(left_ms / 1000 * 1000) + " left";
}

ProgressReporter::ProgressReporter(const Clock& clock, int64_t tasks_max)
    : clock_(clock),
      tasks_max_(tasks_max),
      terminal_(IsTerminal(STDERR_FILENO)),
      search_ms_(clock.MonotonicMs()) {}

ProgressReporter::~ProgressReporter() { End(); }

void ProgressReporter::OnNotice(const std::string& source, const std::string& message) {
  End();
  Complain(source + ": " + message);
}

void ProgressReporter::OnSearch(int64_t looked_at, int64_t commits) {
  const int64_t now_ms = clock_.MonotonicMs();
  if (now_ms - search_ms_ < (terminal_ ? 100 : 10'000)) return;
  search_ms_ = now_ms;
  const std::string text = "looking for candidates: " + std::to_string(looked_at) + " of " +
                           std::to_string(commits) + " commits";
  if (terminal_) return DrawLine(text);
  Complain(text);
}

void ProgressReporter::OnBegin(const std::string& source, const RunProgress& progress) {
  begin_ms_ = clock_.MonotonicMs();
  begin_ = progress;
  End();
  Complain(source + ": " + std::to_string(progress.candidates) + " candidates" +
           (progress.decided > 0
                ? ", " + std::to_string(progress.decided) + " of them decided before"
                : ""));
  if (terminal_) DrawBar(progress);
}

void ProgressReporter::OnDecided(const v1::Candidate& candidate, const RunProgress& progress) {
  if (terminal_) return DrawBar(progress);
  const std::string outcome = candidate.state() == v1::Candidate::STATE_KEPT
                                  ? "kept as " + candidate.task().id().substr(0, 12)
                                  : candidate.reason();
  Complain(candidate.commit().substr(0, 12) + " " + CutToWidth(outcome, 120) + " (" +
           ProgressText(begin_, progress, clock_.MonotonicMs() - begin_ms_, tasks_max_) + ")");
}

void ProgressReporter::DrawBar(const RunProgress& progress) {
  constexpr int64_t kBarColumns = 20;
  const int64_t filled =
      progress.candidates > 0 ? kBarColumns * progress.decided / progress.candidates : 0;
  std::string bar = "[";
  bar.append(static_cast<size_t>(filled), '#');
  bar.append(static_cast<size_t>(kBarColumns - filled), '-');
  DrawLine(bar + "] " +
           ProgressText(begin_, progress, clock_.MonotonicMs() - begin_ms_, tasks_max_));
}

void ProgressReporter::DrawLine(const std::string& text) {
  const size_t width = TerminalWidth(STDERR_FILENO);
  const std::string line = "\r\033[K" + CutToWidth(text, width > 1 ? width - 1 : 1);
  std::fwrite(line.data(), 1, line.size(), stderr);
  drawn_ = true;
}

void ProgressReporter::End() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace taskmint::orchestrator
