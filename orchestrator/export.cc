#include "orchestrator/export.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "datasets/dataset_card.h"
#include "datasets/exported_task.h"
#include "datasets/folder_writing.h"
#include "datasets/harbor_export.h"
#include "datasets/swebench_export.h"
#include "environments/repository/git_repository.h"
#include "orchestrator/export_folder.h"
#include "orchestrator/export_proof.h"
#include "orchestrator/run_context.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "verifier/portable_grader.h"

namespace taskmint::orchestrator {
namespace {

using datasets::ExportedTask;
using datasets::ExportFormat;
using Written = ExportSummary::Written;
using Skipped = ExportSummary::Skipped;

Status AddLog(const datasets::BlobStore& blobs, const std::string& digest, ExportedTask& task) {
  if (digest.empty() || task.logs.contains(digest)) return OkStatus();
  Result<std::string> log = blobs.Get(digest);
  if (log.status().code() == Code::kNotFound) return OkStatus();
  TASKMINT_RETURN_IF_ERROR(log.status());
  task.logs[digest] = *std::move(log);
  return OkStatus();
}

Result<ExportedTask> LoadTask(datasets::Store& store, const ExportRequest& request,
                              const std::string& id) {
  ExportedTask loaded;
  TASKMINT_ASSIGN_OR_RETURN(loaded.kept, store.FindById(id));
  const v1::Task& task = loaded.kept.task();
  if (!task.environment().has_repository() || !task.verifier().has_tests()) {
    return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                  "it is of a kind that this version cannot export");
  }
  const v1::TestVerifier& tests = task.verifier().tests();
  const datasets::BlobStore& blobs = store.blobs();
  TASKMINT_ASSIGN_OR_RETURN(loaded.parent_tree,
                            blobs.GetTree(task.environment().repository().tree_digest()));
  TASKMINT_ASSIGN_OR_RETURN(loaded.overlay, blobs.GetTree(tests.overlay_digest()));
  TASKMINT_ASSIGN_OR_RETURN(loaded.gold_patch, blobs.Get(task.solution().patch_digest()));
  TASKMINT_ASSIGN_OR_RETURN(
      loaded.grader, verifier::PortableGraderFiles(task, loaded.overlay, loaded.parent_tree));
  for (const v1::Evidence& row : loaded.kept.evidence()) {
    TASKMINT_RETURN_IF_ERROR(AddLog(blobs, row.log_digest(), loaded));
    for (const v1::Attempt& attempt : row.attempts()) {
      TASKMINT_RETURN_IF_ERROR(AddLog(blobs, attempt.log_digest(), loaded));
    }
  }
  if (request.format != ExportFormat::kSwebench) return loaded;
  FileTree after = loaded.parent_tree;
  for (const std::string& path : tests.removed_paths()) after.Remove(path);
  after.Overlay(loaded.overlay);
  TASKMINT_ASSIGN_OR_RETURN(loaded.test_patch, environments::MakePatch(loaded.parent_tree, after));
  return loaded;
}

datasets::SwebenchOptions SwebenchOptionsOf(const ExportRequest& request) {
  return {request.name, request.split, verifier::PytestLineId};
}

// Errors that are of one task alone: the others are written all the same.
bool IsOfOneTask(const Status& status) {
  const Code code = status.code();
  return code == Code::kFailedPrecondition || code == Code::kDataLoss || code == Code::kNotFound ||
         code == Code::kInvalidArgument || code == Code::kInternal;
}

// An export under way.
class Exporter {
 public:
  Exporter(datasets::Store& store, const ExportRequest& request, sandbox::SandboxHost* sandboxes,
           ExportFolder& folder, std::stop_token stop)
      : store_(store),
        request_(request),
        sandboxes_(sandboxes),
        folder_(folder),
        stop_(std::move(stop)) {}

  // What became of a task.
  struct Outcome {
    std::optional<Written> written;
    Skipped skipped;
  };

  Result<Outcome> Export(const std::string& id) {
    if (const Written* finished = folder_.Finished(id); finished != nullptr) {
      return Outcome{*finished, {}};
    }
    Result<Written> written = Write(id);
    if (written.ok()) return Outcome{*std::move(written), {}};
    const Status& status = written.status();
    if (!IsOfOneTask(status)) return status;
    const bool chosen =
        status.boundary() == Boundary::kEnvironment ||
        (status.boundary() == Boundary::kVerifier && status.code() == Code::kFailedPrecondition);
    return Outcome{std::nullopt, {id, status.message(), "", !chosen}};
  }

 private:
  Result<Written> Write(const std::string& id) {
    TASKMINT_ASSIGN_OR_RETURN(ExportedTask task, LoadTask(store_, request_, id));
    task.proven = sandboxes_ != nullptr;
    std::vector<datasets::LayerArchive> layers;
    for (const v1::Layer& layer : task.kept.task().environment().repository().layers()) {
      TASKMINT_ASSIGN_OR_RETURN(datasets::LayerArchive archive,
                                folder_.Layer(store_.blobs(), layer));
      layers.push_back(std::move(archive));
    }
    const datasets::PortableNames names = datasets::NamesOf(task.kept.task());
    Written written;
    written.id = id;
    datasets::TaskFolder files;
    if (request_.format == ExportFormat::kHarbor) {
      const std::string org = request_.name.substr(0, request_.name.find('/'));
      written.name = org + "/" + names.folder;
      written.folder = "tasks/" + names.folder;
      TASKMINT_ASSIGN_OR_RETURN(files, datasets::HarborTask(task, layers, org));
      written.digest = datasets::HarborContentHash(datasets::DigestsOf(files));
    } else {
      written.name = names.instance;
      written.folder = "tasks/" + names.instance;
      TASKMINT_ASSIGN_OR_RETURN(
          datasets::SwebenchTask made,
          datasets::MakeSwebenchTask(task, layers, SwebenchOptionsOf(request_)));
      files = std::move(made.folder);
      written.digest =
          datasets::FolderHash(datasets::DigestsOf(files), datasets::kSwebenchFolderHash);
      TASKMINT_RETURN_IF_ERROR(datasets::WriteFileWhole(folder_.RowPath(written.name), made.row));
    }
    const std::string path = folder_.path() + "/" + written.folder;
    TASKMINT_RETURN_IF_ERROR(datasets::WriteTaskFolder(files, path));
    TASKMINT_ASSIGN_OR_RETURN(written.cheaters, Prove(path));
    TASKMINT_RETURN_IF_ERROR(folder_.Finish(written));
    return written;
  }

  // The number of attack programs that were held off.
  Result<int64_t> Prove(const std::string& path) {
    if (sandboxes_ == nullptr) return 0;
    ProofRequest proof;
    proof.folder = path;
    proof.format = request_.format == ExportFormat::kHarbor ? ExportedFormat::kHarbor
                                                            : ExportedFormat::kSwebench;
    proof.cache_folder = folder_.ProofFolder();
    const Result<ProofOutcome> outcome = ProveExportedTask(*sandboxes_, proof, stop_);
    if (outcome.ok() && outcome->proven) return outcome->cheaters;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    if (outcome.ok()) {
      return Status(Code::kInternal, Boundary::kVerifier, "its proof failed: " + outcome->reason);
    }
    const Status& status = outcome.status();
    if (!IsOfOneTask(status)) return status;
    return Status(Code::kInternal, Boundary::kSandbox,
                  "its proof could not be made: " + status.message());
  }

  datasets::Store& store_;
  const ExportRequest& request_;
  sandbox::SandboxHost* sandboxes_;
  ExportFolder& folder_;
  std::stop_token stop_;
};

// Runs the exporter over all ids with some threads. Outcomes in the order of the ids.
class ExportRun {
 public:
  ExportRun(Exporter& exporter, const std::vector<std::string>& ids, const ChosenTasks& chosen,
            const ExportListener& listener, std::stop_token stop)
      : exporter_(exporter),
        ids_(ids),
        chosen_(chosen),
        listener_(listener),
        stop_(std::move(stop)),
        outcomes_(ids.size()) {}

  Status Run(int64_t jobs) {
    progress_.total = static_cast<int64_t>(ids_.size());
    if (listener_) listener_(progress_);
    {
      std::vector<std::jthread> others;
      for (int64_t i = 1; i < jobs; ++i) others.emplace_back([this] { Work(); });
      Work();
    }
    TASKMINT_RETURN_IF_ERROR(failure_);
    if (stop_.stop_requested()) return {Code::kCancelled, Boundary::kNone, "interrupted"};
    return OkStatus();
  }

  void Summarise(ExportSummary& summary) {
    for (Exporter::Outcome& outcome : outcomes_) {
      if (outcome.written) {
        summary.tasks.push_back(*std::move(outcome.written));
      } else {
        summary.skipped.push_back(std::move(outcome.skipped));
      }
    }
  }

 private:
  void Work() {
    for (size_t i = next_++; i < ids_.size(); i = next_++) {
      if (stop_.stop_requested()) return;
      const auto found = chosen_.left_out.find(ids_[i]);
      Result<Exporter::Outcome> outcome =
          found == chosen_.left_out.end()
              ? exporter_.Export(ids_[i])
              : Exporter::Outcome{std::nullopt,
                                  {ids_[i], found->second.reason, found->second.kind, false}};
      const std::lock_guard lock(mutex_);
      if (!outcome.ok()) {
        if (failure_.ok()) failure_ = outcome.status();
        next_ = ids_.size();
        return;
      }
      ++progress_.done;
      progress_.skipped += outcome->written ? 0 : 1;
      outcomes_[i] = *std::move(outcome);
      if (listener_) listener_(progress_);
    }
  }

  Exporter& exporter_;
  const std::vector<std::string>& ids_;
  const ChosenTasks& chosen_;
  const ExportListener& listener_;
  std::stop_token stop_;
  std::atomic<size_t> next_ = 0;
  std::mutex mutex_;
  Status failure_;
  ExportProgress progress_;
  std::vector<Exporter::Outcome> outcomes_;
};

Status WriteHarborDataset(const ExportRequest& request, const ExportFolder& folder,
                          ExportSummary& summary) {
  datasets::HarborDataset dataset;
  dataset.name = request.name;
  dataset.description = std::to_string(summary.tasks.size()) + " code tasks minted by taskmint";
  for (const Written& task : summary.tasks) dataset.tasks.push_back({task.name, task.digest});
  summary.dataset_hash = datasets::HarborDatasetHash(dataset);
  return datasets::WriteFileWhole(folder.path() + "/dataset.toml",
                                  datasets::HarborDatasetToml(dataset));
}

Status WriteSwebenchDataset(const ExportRequest& request, const ExportFolder& folder,
                            const ExportSummary& summary) {
  TASKMINT_RETURN_IF_ERROR(datasets::WriteFileWhole(
      folder.path() + "/sweb.yaml", datasets::SwebenchConfig(SwebenchOptionsOf(request))));
  std::error_code error;
  std::filesystem::create_directories(folder.path() + "/data", error);
  const std::string path = folder.path() + "/data/" + request.split + ".jsonl";
  std::ofstream rows(path, std::ios::binary | std::ios::trunc);
  for (const Written& task : summary.tasks) {
    std::ifstream row(folder.RowPath(task.name), std::ios::binary);
    rows << row.rdbuf();
    if (!row || !rows) break;
  }
  rows.close();
  if (rows) return OkStatus();
  return {Code::kResourceExhausted, Boundary::kStore,
          "cannot write " + path + ": make room, then the same command goes on"};
}

Status WriteCard(datasets::Store& store, const ExportRequest& request, const ExportFolder& folder,
                 const ExportSummary& summary, const ChosenTasks& chosen) {
  datasets::DatasetCard card;
  card.name = request.name;
  card.format = datasets::ExportFormatName(request.format);
  card.proven = summary.proven;
  for (const Skipped& task : summary.skipped) {
    ++card.left_out[task.kind.empty() ? "could not be written or proven" : task.kind];
  }
  if (request.format == ExportFormat::kSwebench) {
    card.data_files = {{request.split, "data/" + request.split + ".jsonl"}};
  }
  for (const Written& task : summary.tasks) {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate kept, store.FindById(task.id));
    card.Count(kept);
    const auto allowed = chosen.allowed.find(task.id);
    if (allowed == chosen.allowed.end()) continue;
    for (const std::string& kind : allowed->second) ++card.flagged[kind];
  }
  return datasets::WriteFileWhole(folder.path() + "/README.md", datasets::WriteDatasetCard(card));
}

Status WriteMark(const ExportRequest& request, const ExportFolder& folder,
                 const ExportSummary& summary) {
  const nlohmann::json mark = {{"format", datasets::ExportFormatName(request.format)},
                               {"version", 1},
                               {"tasks", summary.tasks.size()},
                               {"proven", summary.proven},
                               {"pipeline", PipelineName()}};
  return datasets::WriteFileWhole(folder.path() + "/" + kExportMark, DumpJson(mark, true) + "\n");
}

// What makes two requests one: what they write is equal.
std::string SettingsOf(const ExportRequest& request, bool proven) {
  return DigestBuilder()
      .Add(datasets::ExportFormatName(request.format))
      .Add(request.name)
      .Add(request.split)
      .Add(proven ? "proven" : "")
      .Add(PipelineName())
      .Hex();
}

}  // namespace

Result<ExportSummary> ExportTasks(datasets::Store& store, const ExportRequest& request,
                                  sandbox::SandboxHost* sandboxes, const ExportListener& listener,
                                  std::stop_token stop) {
  const SystemClock clock;
  const int64_t begin_ms = clock.MonotonicMs();
  ExportSummary summary;
  summary.proven = sandboxes != nullptr;
  TASKMINT_RETURN_IF_ERROR(CheckExportTarget(request.out, request.force));
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store.KeptTaskIds(request.where));
  if (ids.empty()) return summary;
  TASKMINT_ASSIGN_OR_RETURN(const ChosenTasks chosen,
                            ChooseTasks(store, request.choice, ids, stop));
  TASKMINT_ASSIGN_OR_RETURN(
      const std::unique_ptr<ExportFolder> folder,
      ExportFolder::Open(request.out, request.force, SettingsOf(request, summary.proven)));
  Exporter exporter(store, request, sandboxes, *folder, stop);
  ExportRun run(exporter, ids, chosen, listener, stop);
  TASKMINT_RETURN_IF_ERROR(run.Run(request.jobs));
  run.Summarise(summary);
  summary.wall_ms = clock.MonotonicMs() - begin_ms;
  if (summary.tasks.empty()) {
    folder->Discard();
    return summary;
  }
  TASKMINT_RETURN_IF_ERROR(request.format == ExportFormat::kHarbor
                               ? WriteHarborDataset(request, *folder, summary)
                               : WriteSwebenchDataset(request, *folder, summary));
  TASKMINT_RETURN_IF_ERROR(WriteCard(store, request, *folder, summary, chosen));
  TASKMINT_RETURN_IF_ERROR(WriteMark(request, *folder, summary));
  folder->RemoveOthers(summary.tasks);
  TASKMINT_RETURN_IF_ERROR(folder->Publish());
  summary.wall_ms = clock.MonotonicMs() - begin_ms;
  return summary;
}

}  // namespace taskmint::orchestrator
