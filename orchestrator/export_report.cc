#include "orchestrator/export_report.h"

#include <nlohmann/json.hpp>

namespace taskmint::orchestrator {

using nlohmann::json;

json ExportReport(const ExportRequest& request, const ExportSummary& summary) {
  json tasks = json::array();
  for (const ExportSummary::Written& task : summary.tasks) {
    tasks.push_back({{"id", task.id},
                     {"name", task.name},
                     {"folder", task.folder},
                     {"digest", "sha256:" + task.digest},
                     {"cheaters", summary.proven ? json(task.cheaters) : json()}});
  }
  json skipped = json::array();
  for (const ExportSummary::Skipped& task : summary.skipped) {
    skipped.push_back({{"id", task.id}, {"reason", task.reason}, {"failed", task.failed}});
  }
  const std::string& hash = summary.dataset_hash;
  return {{"format", datasets::ExportFormatName(request.format)},
          {"out", request.out},
          {"name", request.name},
          {"exported", summary.tasks.size()},
          {"proven", summary.proven},
          {"tasks", std::move(tasks)},
          {"skipped", std::move(skipped)},
          {"dataset_hash", hash.empty() ? json() : json("sha256:" + hash)},
          {"wall_ms", summary.wall_ms}};
}

json ExportReport(const TrajectoryExportRequest& request, const TrajectoryExportSummary& summary) {
  return {{"format", request.format == TrajectoryFormat::kChat ? "chat" : "atif"},
          {"out", request.out},
          {"name", request.name},
          {"exported", summary.exported},
          {"skipped", summary.skipped},
          {"wall_ms", summary.wall_ms}};
}

}  // namespace taskmint::orchestrator
