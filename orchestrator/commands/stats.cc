#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "datasets/store.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

struct StatsOptions {
  std::string store = "taskmint-store";
  bool json = false;
};

struct StoreStats {
  std::vector<datasets::FunnelRow> funnel;
  int64_t tasks = 0;
  std::map<std::string, int64_t> licences;  // tasks by SPDX identifier
  int64_t layers = 0;                       // distinct
  int64_t layer_uses = 0;                   // over all tasks
  int64_t blobs = 0;
  uint64_t blob_bytes = 0;
  uint64_t database_bytes = 0;
};

Result<StoreStats> Gather(datasets::Store& store, const std::string& folder) {
  StoreStats stats;
  TASKMINT_ASSIGN_OR_RETURN(stats.funnel, store.Funnel());
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store.KeptTaskIds(""));
  stats.tasks = static_cast<int64_t>(ids.size());
  std::set<std::string> layers;
  for (const std::string& id : ids) {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate candidate, store.FindById(id));
    const std::string& spdx_id = candidate.task().licence().spdx_id();
    ++stats.licences[spdx_id.empty() ? "unknown" : spdx_id];
    for (const v1::Layer& layer : candidate.task().environment().repository().layers()) {
      layers.insert(layer.tree_digest());
      ++stats.layer_uses;
    }
  }
  stats.layers = static_cast<int64_t>(layers.size());
  TASKMINT_RETURN_IF_ERROR(store.blobs().ForEach([&](const datasets::BlobStore::BlobOnDisk& blob) {
    ++stats.blobs;
    stats.blob_bytes += blob.disk_bytes;
  }));
  for (const char* name : {"tasks.sqlite", "tasks.sqlite-wal"}) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(std::filesystem::path(folder) / name, error);
    if (!error) stats.database_bytes += bytes;
  }
  return stats;
}

void PrintStats(const StoreStats& stats) {
  std::map<std::string, int64_t> totals;
  for (const datasets::FunnelRow& row : stats.funnel) totals[row.source] += row.count;
  Table table({"SOURCE", "OUTCOME", "COUNT", "SHARE"});
  for (const datasets::FunnelRow& row : stats.funnel) {
    const int64_t share =
        (1000 * row.count + totals[row.source] / 2) / std::max<int64_t>(1, totals[row.source]);
    table.Add({row.source, row.reason, std::to_string(row.count),
               std::to_string(share / 10) + "." + std::to_string(share % 10) + " %"},
              row.reason == "kept" ? Tint::kGreen : Tint::kNone);
  }
  table.Print();
  if (!stats.licences.empty()) {
    PrintOut("\n");
    Table licences({"LICENCE", "TASKS"});
    for (const auto& [spdx_id, tasks] : stats.licences) {
      licences.Add({spdx_id, std::to_string(tasks)},
                   spdx_id == "unknown" ? Tint::kYellow : Tint::kNone);
    }
    licences.Print();
  }
  PrintOut("\n" + std::to_string(stats.tasks) + " tasks on " + std::to_string(stats.layers) +
           " layers (used " + std::to_string(stats.layer_uses) + " times); " +
           std::to_string(stats.blobs) + " blobs, " + BytesText(stats.blob_bytes) + "; database " +
           BytesText(stats.database_bytes) + "\n");
}

int RunStats(const StatsOptions& options) {
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto stats = Gather(**store, options.store);
  if (!stats.ok()) return ComplainOf(stats.status());
  if (!options.json) {
    PrintStats(*stats);
    return kExitDone;
  }
  nlohmann::json funnel = nlohmann::json::array();
  for (const datasets::FunnelRow& row : stats->funnel) {
    funnel.push_back({{"source", row.source}, {"reason", row.reason}, {"count", row.count}});
  }
  PrintOut(DumpJson({{"funnel", funnel},
                     {"tasks", stats->tasks},
                     {"licences", stats->licences},
                     {"layers", stats->layers},
                     {"layer_uses", stats->layer_uses},
                     {"blobs", stats->blobs},
                     {"blob_bytes", stats->blob_bytes},
                     {"database_bytes", stats->database_bytes}},
                    true) +
           "\n");
  return kExitDone;
}

}  // namespace

void AddStats(Command root) {
  static StatsOptions options;
  Command stats = root.Add("stats", "Count where candidates ended, and what the store holds");
  stats.Flag("--json", options.json,
             "Print an object: funnel, tasks, licences, layers, blobs and sizes");
  AddStoreOption(stats, options.store);
  stats.Example("taskmint stats").Example("taskmint stats --store tasks --json").Action([] {
    return RunStats(options);
  });
}

}  // namespace taskmint::orchestrator
