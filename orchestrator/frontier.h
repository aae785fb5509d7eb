// How far a run has come, and how far ahead workers may go.
#ifndef TASKMINT_ORCHESTRATOR_FRONTIER_H_
#define TASKMINT_ORCHESTRATOR_FRONTIER_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

// Counts of a run's candidates.
struct RunProgress {
  int64_t candidates = 0;
  int64_t decided = 0;
  int64_t kept = 0;  // valid ones, those beyond tasks_max included
};

// A snapshot of a run's candidates, judged against tasks_max.
struct FrontierView {
  RunProgress progress;
  // Candidates at positions below this one may be worked on.
  int64_t position_max = 0;
  // The first tasks_max valid candidates are known: nothing further changes the result.
  bool goal_reached = false;
  // The first tasks_max valid candidates so far lie below this position; the largest number when
  // there are fewer of them.
  int64_t kept_end = 0;
};

// `window`: how far beyond the decided prefix work may go ahead when tasks_max is set.
FrontierView JudgeFrontier(const std::vector<datasets::Store::CandidateState>& states,
                           int64_t tasks_max, int64_t window);

// The view of a run, read again at most every `age_ms_max`, or when something was decided here.
// Thread-safe.
class Frontier {
 public:
  Frontier(datasets::Store& store, std::string run_id, int64_t tasks_max, int64_t window)
      : store_(store), run_id_(std::move(run_id)), tasks_max_(tasks_max), window_(window) {}

  Result<FrontierView> Look();
  // A candidate was decided here: the next Look reads again.
  void Touch();

 private:
  datasets::Store& store_;
  const std::string run_id_;
  const int64_t tasks_max_;
  const int64_t window_;
  std::mutex mutex_;
  int64_t read_ms_ = 0;
  bool fresh_ = false;
  FrontierView view_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_FRONTIER_H_
