// What `taskmint export --json` prints and a server's Export call ends with.
#ifndef TASKMINT_ORCHESTRATOR_EXPORT_REPORT_H_
#define TASKMINT_ORCHESTRATOR_EXPORT_REPORT_H_

#include <nlohmann/json_fwd.hpp>

#include "orchestrator/export.h"
#include "orchestrator/export_trajectories.h"

namespace taskmint::orchestrator {

// format, out, name, exported, proven, tasks, skipped, dataset_hash, wall_ms.
nlohmann::json ExportReport(const ExportRequest& request, const ExportSummary& summary);
// The summary of such a report, which may come from anywhere: what is not there is empty.
ExportSummary SummaryOfReport(const nlohmann::json& report);
// format, out, name, exported, skipped (a number), wall_ms.
nlohmann::json ExportReport(const TrajectoryExportRequest& request,
                            const TrajectoryExportSummary& summary);
TrajectoryExportSummary TrajectorySummaryOfReport(const nlohmann::json& report);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EXPORT_REPORT_H_
