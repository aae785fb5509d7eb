#include "orchestrator/export_trajectories.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "datasets/atif.h"
#include "datasets/dataset_card.h"
#include "datasets/folder_writing.h"
#include "datasets/openai_chat.h"
#include "orchestrator/export_folder.h"
#include "orchestrator/run_context.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

Status CannotWriteExport(const fs::path& path) {
  return {Code::kResourceExhausted, Boundary::kStore,
          "cannot write " + path.string() + ": is the disk full, and may you write there?"};
}

// Files of one export, in the order of the store's list.
class TrajectoryWriter {
 public:
  TrajectoryWriter(const TrajectoryExportRequest& request, fs::path folder)
      : request_(request), folder_(std::move(folder)) {
    card_.name = request.name;
    card_.row = "trajectory";
    card_.format = request.format == TrajectoryFormat::kAtif ? "atif" : "chat";
    card_.usage =
        request.format == TrajectoryFormat::kAtif
            ? "Each file in `trajectories/` is one trajectory in the Agent Trajectory Interchange "
              "Format, version 1.7.\n"
            : "Each row has `messages` and `tools` as chat models are fine-tuned with.\n";
    if (request.format == TrajectoryFormat::kChat) {
      card_.data_files = {{request.split, RowsName()}};
    }
  }

  Status Begin() {
    std::error_code error;
    fs::create_directories(folder_ / (is_chat() ? "data" : "trajectories"), error);
    if (error) return CannotWriteExport(folder_);
    if (!is_chat()) return OkStatus();
    rows_.open(folder_ / RowsName(), std::ios::binary | std::ios::trunc);
    return rows_ ? OkStatus() : CannotWriteExport(folder_ / RowsName());
  }

  // One that would be written if its task were not left out.
  void LeaveOut(const std::string& kind) { ++card_.left_out[kind]; }

  // False when there is nothing to write of it.
  Result<bool> Add(const std::string& id, const v1::Candidate& kept,
                   const v1::Trajectory& trajectory, const ChosenTasks& chosen) {
    const v1::Task& task = kept.task();
    if (is_chat()) {
      const Result<std::string> row = datasets::ToOpenAiChatRow(task, trajectory);
      if (!row.ok()) return false;
      rows_ << *row;
      if (!rows_) return CannotWriteExport(folder_ / RowsName());
    } else {
      TASKMINT_RETURN_IF_ERROR(
          datasets::WriteFileWhole((folder_ / "trajectories" / (id + ".json")).string(),
                                   datasets::ToAtif(task, trajectory)));
    }
    card_.Count(kept);
    const auto allowed = chosen.allowed.find(task.id());
    if (allowed == chosen.allowed.end()) return true;
    for (const std::string& kind : allowed->second) ++card_.flagged[kind];
    return true;
  }

  Status End() {
    if (is_chat()) {
      rows_.close();
      if (!rows_) return CannotWriteExport(folder_ / RowsName());
    }
    TASKMINT_RETURN_IF_ERROR(datasets::WriteFileWhole((folder_ / "README.md").string(),
                                                      datasets::WriteDatasetCard(card_)));
    const nlohmann::json mark = {{"format", card_.format},
                                 {"version", 1},
                                 {"trajectories", card_.rows},
                                 {"pipeline", PipelineName()}};
    return datasets::WriteFileWhole((folder_ / kExportMark).string(), DumpJson(mark, true) + "\n");
  }

 private:
  bool is_chat() const { return request_.format == TrajectoryFormat::kChat; }
  std::string RowsName() const { return "data/" + request_.split + ".jsonl"; }

  const TrajectoryExportRequest& request_;
  const fs::path folder_;
  std::ofstream rows_;
  datasets::DatasetCard card_;
};

// What an export has to choose from.
struct Supply {
  const std::set<std::string>& kept;
  const ChosenTasks& chosen;
  const std::vector<datasets::TrajectoryRow>& rows;
};

Status WriteRows(datasets::Store& store, const TrajectoryExportRequest& request,
                 const Supply& supply, const ExportFolder& folder, const std::stop_token& stop,
                 TrajectoryExportSummary& summary) {
  TrajectoryWriter writer(request, folder.path());
  for (const datasets::TrajectoryRow& row : supply.rows) {
    if (stop.stop_requested()) return {Code::kCancelled, Boundary::kNone, "interrupted"};
    const bool wanted =
        row.score && *row.score >= request.reward_min && supply.kept.contains(row.task_id);
    const auto left_out = supply.chosen.left_out.find(row.task_id);
    if (!wanted || left_out != supply.chosen.left_out.end()) {
      if (wanted) writer.LeaveOut(left_out->second.kind);
      ++summary.skipped;
      continue;
    }
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate candidate, store.FindById(row.task_id));
    TASKMINT_ASSIGN_OR_RETURN(const v1::Trajectory trajectory, store.FindTrajectory(row.id));
    if (summary.exported == 0) TASKMINT_RETURN_IF_ERROR(writer.Begin());
    TASKMINT_ASSIGN_OR_RETURN(const bool added,
                              writer.Add(row.id, candidate, trajectory, supply.chosen));
    ++(added ? summary.exported : summary.skipped);
  }
  return summary.exported > 0 ? writer.End() : OkStatus();
}

}  // namespace

Result<TrajectoryExportSummary> ExportTrajectories(datasets::Store& store,
                                                   const TrajectoryExportRequest& request,
                                                   std::stop_token stop) {
  const SystemClock clock;
  const int64_t begin_ms = clock.MonotonicMs();
  TASKMINT_RETURN_IF_ERROR(CheckExportTarget(request.out, request.force));
  TASKMINT_ASSIGN_OR_RETURN(const auto ids, store.KeptTaskIds(request.where));
  TASKMINT_ASSIGN_OR_RETURN(const ChosenTasks chosen,
                            ChooseTasks(store, request.choice, ids, stop));
  const std::set<std::string> kept(ids.begin(), ids.end());
  TASKMINT_ASSIGN_OR_RETURN(const auto rows, store.Trajectories(""));

  TASKMINT_ASSIGN_OR_RETURN(const std::unique_ptr<ExportFolder> folder,
                            ExportFolder::OpenAnew(request.out, request.force));
  TrajectoryExportSummary summary;
  const Status written = WriteRows(store, request, {kept, chosen, rows}, *folder, stop, summary);
  if (!written.ok() || summary.exported == 0) {
    folder->Discard();
  } else {
    TASKMINT_RETURN_IF_ERROR(folder->Publish());
  }
  TASKMINT_RETURN_IF_ERROR(written);
  summary.wall_ms = clock.MonotonicMs() - begin_ms;
  return summary;
}

}  // namespace taskmint::orchestrator
