#include "orchestrator/frontier.h"

#include <algorithm>
#include <limits>

#include "proto/base/clock.h"

namespace taskmint::orchestrator {
namespace {

constexpr int64_t kAgeMsMax = 300;

bool IsValid(v1::Candidate::State state) {
  return state == v1::Candidate::STATE_KEPT || state == v1::Candidate::STATE_SURPLUS;
}

}  // namespace

FrontierView JudgeFrontier(const std::vector<datasets::Store::CandidateState>& states,
                           int64_t tasks_max, int64_t window) {
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  FrontierView view;
  view.kept_end = kFar;
  view.progress.candidates = static_cast<int64_t>(states.size());
  int64_t prefix = 0;  // first position that is not decided, or follows one that is not
  bool in_prefix = true;
  for (const auto& state : states) {
    const bool decided = state.state != v1::Candidate::STATE_PENDING &&
                         state.state != v1::Candidate::STATE_UNSPECIFIED;
    if (!decided) in_prefix = false;
    if (in_prefix) prefix = state.position + 1;
    if (decided) ++view.progress.decided;
    if (!IsValid(state.state)) continue;
    ++view.progress.kept;
    if (tasks_max > 0 && view.progress.kept == tasks_max) {
      view.kept_end = state.position + 1;
      view.goal_reached = in_prefix;
    }
  }
  view.position_max = tasks_max > 0 ? prefix + window : kFar;
  // What lies beyond can only become surplus.
  view.position_max = std::min(view.position_max, view.kept_end);
  return view;
}

Result<FrontierView> Frontier::Look() {
  static const SystemClock clock;
  std::lock_guard lock(mutex_);
  if (fresh_ && clock.MonotonicMs() - read_ms_ < kAgeMsMax) return view_;
  TASKMINT_ASSIGN_OR_RETURN(const auto states, store_.CandidateStates(run_id_));
  view_ = JudgeFrontier(states, tasks_max_, window_);
  read_ms_ = clock.MonotonicMs();
  fresh_ = true;
  return view_;
}

void Frontier::Touch() {
  std::lock_guard lock(mutex_);
  fresh_ = false;
}

}  // namespace taskmint::orchestrator
