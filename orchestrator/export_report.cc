#include "orchestrator/export_report.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "proto/base/json.h"

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

ExportSummary SummaryOfReport(const json& report) {
  ExportSummary summary;
  const auto rows = [&](const char* field) {
    const auto found = report.is_object() ? report.find(field) : report.end();
    return found != report.end() && found->is_array() ? *found : json::array();
  };
  for (const json& task : rows("tasks")) {
    summary.tasks.push_back({StringOr(task, "id", ""), StringOr(task, "name", ""),
                             StringOr(task, "folder", ""), StringOr(task, "digest", ""),
                             IntOr(task, "cheaters", 0)});
  }
  for (const json& task : rows("skipped")) {
    summary.skipped.push_back(
        {StringOr(task, "id", ""), StringOr(task, "reason", ""), "", BoolOr(task, "failed", true)});
  }
  summary.proven = BoolOr(report, "proven", false);
  summary.dataset_hash = StringOr(report, "dataset_hash", "");
  summary.wall_ms = IntOr(report, "wall_ms", 0);
  return summary;
}

TrajectoryExportSummary TrajectorySummaryOfReport(const json& report) {
  const auto count = [&](const char* field) {
    return std::clamp<int64_t>(IntOr(report, field, 0), 0, std::numeric_limits<int32_t>::max());
  };
  return {count("exported"), count("skipped"), count("wall_ms")};
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
