#include "orchestrator/trajectory_replay.h"

#include <algorithm>
#include <utility>

#include "orchestrator/regrade.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

// The first line of each in which two texts differ.
std::string FirstDifference(std::string_view before, std::string_view now) {
  size_t same = 0;
  while (same < std::min(before.size(), now.size()) && before[same] == now[same]) ++same;
  const auto line_at = [&](std::string_view text) {
    const size_t begin = same == 0 ? 0 : text.rfind('\n', same - 1) + 1;
    const size_t end = std::min(text.find('\n', same), text.size());
    return "'" + OneLine(CutMiddle(text.substr(begin, end - begin), 200)) + "'";
  };
  return line_at(before) + " is " + line_at(now);
}

void CompareStep(int number, const v1::Step& before, const v1::Step& now,
                 std::vector<std::string>& differences) {
  const std::string step = "step " + std::to_string(number) + " (" + OneLine(before.tool()) + "): ";
  if (before.masked_observation_digest() != now.masked_observation_digest()) {
    differences.push_back(
        step + "the observation differs: " +
        FirstDifference(MaskObservation(before.observation()), MaskObservation(now.observation())));
  } else if (before.failed() != now.failed()) {
    differences.push_back(step + (now.failed() ? "fails now" : "failed then"));
  }
}

void CompareEnds(const v1::Trajectory& before, const v1::Trajectory& now,
                 TrajectoryReplayReport& report) {
  if (now.verdict().state() == v1::Verdict::STATE_NO_VERDICT) {
    report.no_verdict = now.verdict().reason();
    return;
  }
  if (before.verdict().state() == v1::Verdict::STATE_NO_VERDICT) {
    report.no_verdict = "the trajectory has none: " + before.verdict().reason();
    return;
  }
  if (before.final_state_digest() != now.final_state_digest()) {
    report.differences.push_back("the final state differs: it was " +
                                 before.final_state_digest().substr(0, 12) + ", is " +
                                 now.final_state_digest().substr(0, 12));
  }
  const bool same_verdict = before.verdict().state() == now.verdict().state() &&
                            before.verdict().digest() == now.verdict().digest();
  if (!same_verdict) {
    report.differences.push_back("the verdict was " + VerdictStateName(before.verdict().state()) +
                                 " with digest " + before.verdict().digest().substr(0, 12) +
                                 ", is " + VerdictStateName(now.verdict().state()) + " with " +
                                 now.verdict().digest().substr(0, 12) + " (" +
                                 now.verdict().reason() + ")");
  }
}

}  // namespace

Result<TrajectoryReplayReport> ReplayTrajectory(std::shared_ptr<const LoadedTask> task,
                                                sandbox::SandboxHost& sandboxes,
                                                const v1::Trajectory& trajectory,
                                                const Clock& clock, std::stop_token stop) {
  const int64_t started_ms = clock.MonotonicMs();
  TASKMINT_ASSIGN_OR_RETURN(auto world, OpenWorld(sandboxes, *task, stop));
  Episode episode(std::move(task), std::move(world), "replay", clock);
  TrajectoryReplayReport report;
  for (const v1::Step& step : trajectory.steps()) {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Step now,
                              episode.Call(step.tool(), step.arguments_json(), stop));
    if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kNone, "interrupted");
    CompareStep(static_cast<int>(++report.steps), step, now, report.differences);
  }
  if (trajectory.verdict().state() != v1::Verdict::STATE_UNSPECIFIED) {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Trajectory graded, episode.Grade(stop));
    CompareEnds(trajectory, graded, report);
  }
  report.wall_ms = clock.MonotonicMs() - started_ms;
  return report;
}

}  // namespace taskmint::orchestrator
