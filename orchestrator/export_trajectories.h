// Graded trajectories to files that others load: `taskmint export --format atif|chat`.
#ifndef TASKMINT_ORCHESTRATOR_EXPORT_TRAJECTORIES_H_
#define TASKMINT_ORCHESTRATOR_EXPORT_TRAJECTORIES_H_

#include <cstdint>
#include <stop_token>
#include <string>

#include "datasets/store.h"
#include "orchestrator/export_choice.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

enum class TrajectoryFormat {
  // trajectories/ID.json, ATIF v1.7.
  kAtif,
  // data/SPLIT.jsonl, OpenAI chat rows.
  kChat,
};

struct TrajectoryExportRequest {
  TrajectoryFormat format = TrajectoryFormat::kAtif;
  // The folder to make.
  std::string out;
  // SQLite expression over task_view that their tasks must meet; empty: every kept task.
  std::string where;
  std::string name;
  std::string split;
  ExportChoice choice;
  // Only trajectories with at least this reward; those without a verdict are never exported.
  double reward_min = 0;
  // Whether an earlier export at `out` is replaced.
  bool force = false;
};

struct TrajectoryExportSummary {
  int64_t exported = 0;
  // Of tasks that are left out or not kept, without a verdict, below reward_min, or without a step.
  int64_t skipped = 0;
  int64_t wall_ms = 0;
};

// Writes to OUT.partial and renames it: `out` is whole or absent. Nothing is written where nothing
// is exported. Errors as ExportTasks.
Result<TrajectoryExportSummary> ExportTrajectories(datasets::Store& store,
                                                   const TrajectoryExportRequest& request,
                                                   std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EXPORT_TRAJECTORIES_H_
