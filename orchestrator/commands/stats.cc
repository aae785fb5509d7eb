#include <map>
#include <nlohmann/json.hpp>

#include "datasets/store.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/store_stats.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

struct StatsOptions {
  std::string store = "taskmint-store";
  RemotePlace server;
  bool json = false;
};

// In the order of their names, which a protobuf map has not.
std::map<std::string, int64_t> LicencesOf(const v1::StoreStats& stats) {
  return {stats.licences().begin(), stats.licences().end()};
}

void PrintStats(const v1::StoreStats& stats) {
  std::map<std::string, int64_t> totals;
  for (const v1::StoreStats::FunnelRow& row : stats.funnel()) totals[row.source()] += row.count();
  Table table({"SOURCE", "OUTCOME", "COUNT", "SHARE"});
  for (const v1::StoreStats::FunnelRow& row : stats.funnel()) {
    const int64_t share = (1000 * row.count() + totals[row.source()] / 2) /
                          std::max<int64_t>(1, totals[row.source()]);
    table.Add({row.source(), row.reason(), std::to_string(row.count()),
               std::to_string(share / 10) + "." + std::to_string(share % 10) + " %"},
              row.reason() == "kept" ? Tint::kGreen : Tint::kNone);
  }
  table.Print();
  if (!stats.licences().empty()) {
    PrintOut("\n");
    Table licences({"LICENCE", "TASKS"});
    for (const auto& [spdx_id, tasks] : LicencesOf(stats)) {
      licences.Add({spdx_id, std::to_string(tasks)},
                   spdx_id == "unknown" ? Tint::kYellow : Tint::kNone);
    }
    licences.Print();
  }
  PrintOut("\n" + std::to_string(stats.tasks()) + " tasks on " + std::to_string(stats.layers()) +
           " layers (used " + std::to_string(stats.layer_uses()) + " times); " +
           std::to_string(stats.blobs()) + " blobs, " + BytesText(stats.blob_bytes()) +
           "; database " + BytesText(stats.database_bytes()) + "\n");
}

Result<v1::StoreStats> Stats(const StatsOptions& options) {
  if (!options.server.address.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(const auto server, RemoteServer::Connect(options.server));
    return server->Stats();
  }
  const SystemClock clock;
  TASKMINT_ASSIGN_OR_RETURN(
      const auto store, datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock));
  return StatsOf(*store, {});
}

int RunStats(const StatsOptions& options) {
  const auto stats = Stats(options);
  if (!stats.ok()) return ComplainOf(stats.status());
  if (!options.json) {
    PrintStats(*stats);
    return kExitDone;
  }
  nlohmann::json funnel = nlohmann::json::array();
  for (const v1::StoreStats::FunnelRow& row : stats->funnel()) {
    funnel.push_back({{"source", row.source()}, {"reason", row.reason()}, {"count", row.count()}});
  }
  PrintOut(DumpJson({{"funnel", funnel},
                     {"tasks", stats->tasks()},
                     {"licences", LicencesOf(*stats)},
                     {"layers", stats->layers()},
                     {"layer_uses", stats->layer_uses()},
                     {"blobs", stats->blobs()},
                     {"blob_bytes", stats->blob_bytes()},
                     {"database_bytes", stats->database_bytes()}},
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
  AddServerOptions(stats, options.server);
  stats.Example("taskmint stats")
      .Example("taskmint stats --store tasks --json")
      .Example("taskmint stats --server localhost:7070")
      .Action([] { return RunStats(options); });
}

}  // namespace taskmint::orchestrator
