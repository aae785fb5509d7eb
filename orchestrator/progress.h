// Progress of a run on standard error: a bar on a terminal, plain lines elsewhere.
#ifndef TASKMINT_ORCHESTRATOR_PROGRESS_H_
#define TASKMINT_ORCHESTRATOR_PROGRESS_H_

#include <cstdint>
#include <string>

#include "orchestrator/minting.h"
#include "proto/base/clock.h"

namespace taskmint::orchestrator {

// Rate and time left, from what was decided since the beginning of this invocation.
// "12/340 decided, 5 kept, 3.1 tasks/min, 10 min 2 s left".
std::string ProgressText(const RunProgress& begin, const RunProgress& now, int64_t wall_ms,
                         int64_t tasks_max);

class ProgressReporter final : public MintListener {
 public:
  ProgressReporter(const Clock& clock, int64_t tasks_max);
  ~ProgressReporter() override;
  void OnNotice(const std::string& source, const std::string& message) override;
  void OnSearch(int64_t looked_at, int64_t commits) override;
  void OnBegin(const std::string& source, const RunProgress& progress) override;
  void OnDecided(const v1::Candidate& candidate, const RunProgress& progress) override;
  // Clears the bar, so that what is printed next begins on a line of its own.
  void End();

 private:
  void DrawBar(const RunProgress& progress);
  void DrawLine(const std::string& text);

  const Clock& clock_;
  const int64_t tasks_max_;
  const bool terminal_;
  int64_t begin_ms_ = 0;
  int64_t search_ms_;  // when the search was last spoken of
  RunProgress begin_;
  bool drawn_ = false;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_PROGRESS_H_
