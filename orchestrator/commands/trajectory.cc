#include <ctime>
#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/regrade.h"
#include "orchestrator/terminal.h"
#include "orchestrator/trajectory_replay.h"
#include "orchestrator/trajectory_text.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct TrajectoryOptions {
  std::string store = "taskmint-store";
  std::string id;
  std::string task;
  bool json = false;
};

std::string DateText(int64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  char text[32] = "";
  if (gmtime_r(&seconds, &parts) != nullptr) {
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  }
  return text;
}

std::string ScoreText(const datasets::TrajectoryRow& row) {
  return row.score ? nlohmann::json(*row.score).dump() : "";
}

nlohmann::json TrajectoryRowJson(const datasets::TrajectoryRow& row) {
  return {{"id", row.id},
          {"task_id", row.task_id},
          {"actor", row.actor},
          {"verdict", VerdictStateName(row.state)},
          {"score", row.score ? nlohmann::json(*row.score) : nlohmann::json()},
          {"steps", row.steps},
          {"started_ms", row.started_ms}};
}

// The whole id of a task that the store may no longer have.
Result<std::string> WholeTaskId(datasets::Store& store, const std::string& id) {
  if (id.empty() || IsDigest(id)) return id;
  TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate candidate, store.FindById(id));
  return candidate.task().id();
}

int RunTrajectoryList(const TrajectoryOptions& options) {
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto task = WholeTaskId(**store, options.task);
  if (!task.ok()) return ComplainOf(task.status());
  const auto rows = (*store)->Trajectories(*task);
  if (!rows.ok()) return ComplainOf(rows.status());
  if (options.json) {
    nlohmann::json array = nlohmann::json::array();
    for (const datasets::TrajectoryRow& row : *rows) array.push_back(TrajectoryRowJson(row));
    PrintOut(DumpJson(array, true) + "\n");
    return kExitDone;
  }
  Table table({"ID", "TASK", "VERDICT", "SCORE", "STEPS", "BEGAN (UTC)", "ACTOR"});
  for (const datasets::TrajectoryRow& row : *rows) {
    const bool pass = row.state == v1::Verdict::STATE_PASS;
    table.Add({row.id.substr(0, 12), row.task_id.substr(0, 12), VerdictStateName(row.state),
               ScoreText(row), std::to_string(row.steps), DateText(row.started_ms), row.actor},
              pass ? Tint::kGreen : Tint::kNone);
  }
  table.Print();
  return kExitDone;
}

int RunTrajectoryShow(const TrajectoryOptions& options) {
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto found = (*store)->FindTrajectory(options.id);
  if (!found.ok()) return ComplainOf(found.status());
  if (options.json) {
    PrintOut(DumpJson(TrajectoryJson(*found), true) + "\n");
    return kExitDone;
  }
  PrintOut("trajectory " + TrajectoryId(*found) + "\ntask       " + found->task_id() +
           "\nactor      " + Printable(found->actor()) + "\nbegan      " +
           DateText(found->started_ms()) + " UTC\n\n");
  for (const v1::Step& step : found->steps()) PrintStep(step);
  PrintOut("\n");
  PrintVerdict(found->verdict());
  return kExitDone;
}

Result<TrajectoryReplayReport> LoadAndReplay(datasets::Store& store, const Clock& clock,
                                             const v1::Trajectory& trajectory,
                                             std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(auto sandboxes, MakeSandboxHost());
  TASKMINT_ASSIGN_OR_RETURN(auto task, LoadTask(store, *sandboxes, trajectory.task_id(), stop));
  return ReplayTrajectory(std::move(task), *sandboxes, trajectory, clock, stop);
}

int RunTrajectoryReplay(const TrajectoryOptions& options) {
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto found = (*store)->FindTrajectory(options.id);
  if (!found.ok()) return ComplainOf(found.status());
  const Interrupt interrupt("stopping");
  const auto report = LoadAndReplay(**store, clock, *found, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!report.ok()) return ComplainOf(report.status());
  const nlohmann::json no_verdict =
      report->no_verdict.empty() ? nlohmann::json() : nlohmann::json(report->no_verdict);
  const std::string id = TrajectoryId(*found);
  if (options.json) {
    PrintOut(DumpJson({{"id", id},
                       {"agrees", report->agrees()},
                       {"no_verdict", no_verdict},
                       {"differences", report->differences},
                       {"steps", report->steps},
                       {"wall_ms", report->wall_ms}},
                      true) +
             "\n");
  } else {
    const std::string outcome = !report->no_verdict.empty()
                                    ? "no-verdict: " + Printable(report->no_verdict)
                                : report->agrees() ? Tinted("agrees", Tint::kGreen)
                                                   : Tinted("differs", Tint::kRed);
    PrintOut(id.substr(0, 12) + " " + outcome + "\n");
    for (const std::string& difference : report->differences) {
      PrintOut("  " + Printable(difference) + "\n");
    }
  }
  return report->agrees() ? kExitDone : kExitFailed;
}

void AddId(Command& command, TrajectoryOptions& options) {
  command.Text("id", options.id, "ID", "The trajectory's id, or at least 6 of its first digits")
      .Require("id");
}

}  // namespace

void AddTrajectory(Command root) {
  static TrajectoryOptions options;
  Command trajectory =
      root.Add("trajectory", "Episodes that were played: what was done, how it ended");
  trajectory.RequireSubcommand()
      .Example("taskmint trajectory list")
      .Example("taskmint trajectory replay 91c2d0");
  Command list = trajectory.Add("list", "List them, the oldest first");
  list.Text("--task", options.task, "ID", "Only those of this task")
      .Flag("--json", options.json,
            "Print an array: id, task_id, actor, verdict, score, steps, started_ms");
  AddStoreOption(list, options.store);
  list.Example("taskmint trajectory list --task 3fa94c --json").Action([] {
    return RunTrajectoryList(options);
  });
  Command show = trajectory.Add("show", "Show every call of one, and its verdict");
  AddId(show, options);
  show.Flag("--json", options.json,
            "Print an object: id, task_id, actor, started_ms, steps, final_state_digest, verdict, "
            "score, reason, tests, digest");
  AddStoreOption(show, options.store);
  show.Example("taskmint trajectory show 91c2d0 --json").Action([] {
    return RunTrajectoryShow(options);
  });
  Command replay = trajectory.Add(
      "replay", "Make the calls of one again in a fresh episode, grade it, and say what differs");
  AddId(replay, options);
  replay.Flag("--json", options.json,
              "Print an object: id, agrees, no_verdict, differences, steps, wall_ms");
  AddStoreOption(replay, options.store);
  replay.Example("taskmint trajectory replay 91c2d0").Action([] {
    return RunTrajectoryReplay(options);
  });
}

}  // namespace taskmint::orchestrator
