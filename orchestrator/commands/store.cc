#include "datasets/store.h"

#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct StoreOptions {
  std::string store = "taskmint-store";
  bool json = false;
};

int RunCheck(const StoreOptions& options) {
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto report = (*store)->Check();
  if (!report.ok()) return ComplainOf(report.status());
  const bool sound = report->damaged.empty() && report->missing.empty();
  if (options.json) {
    PrintOut(DumpJson({{"blobs", report->blobs},
                       {"blob_bytes", report->blob_bytes},
                       {"trajectories", report->trajectories},
                       {"damaged", report->damaged},
                       {"missing", report->missing}},
                      true) +
             "\n");
  } else {
    for (const std::string& line : report->damaged) PrintOut(Printable(line) + "\n");
    for (const std::string& line : report->missing) PrintOut(Printable(line) + "\n");
    PrintOut(std::to_string(report->blobs) + " blobs, " +
             BytesText(static_cast<uint64_t>(report->blob_bytes)) + ", " +
             std::to_string(report->trajectories) + " trajectories: " +
             (sound ? Tinted("sound", Tint::kGreen)
                    : Tinted(std::to_string(report->damaged.size()) + " damaged, " +
                                 std::to_string(report->missing.size()) +
                                 " references to what is missing or damaged",
                             Tint::kRed)) +
             "\n");
  }
  return sound ? kExitDone : kExitFailed;
}

int RunCollect(const StoreOptions& options) {
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadWrite, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto report = (*store)->Collect();
  if (!report.ok()) return ComplainOf(report.status());
  if (options.json) {
    PrintOut(DumpJson({{"blobs_removed", report->blobs_removed},
                       {"bytes_removed", report->bytes_removed},
                       {"cache_entries_removed", report->cache_entries_removed},
                       {"cache_bytes_removed", report->cache_bytes_removed},
                       {"temporary_files_removed", report->temporary_files_removed}},
                      true) +
             "\n");
  } else {
    PrintOut(std::to_string(report->blobs_removed) + " blobs removed, " +
             BytesText(static_cast<uint64_t>(report->bytes_removed)) + "; the cache is empty, " +
             BytesText(static_cast<uint64_t>(report->cache_bytes_removed)) + "\n");
  }
  return kExitDone;
}

}  // namespace

void AddStore(Command root) {
  static StoreOptions options;
  Command store = root.Add("store", "Look after a store");
  store.RequireSubcommand().Example("taskmint store check").Example("taskmint store gc");
  Command check = store.Add("check", "Read every blob, trajectory and reference; changes nothing");
  check.Flag("--json", options.json,
             "Print an object: blobs, blob_bytes, trajectories, damaged, missing");
  AddStoreOption(check, options.store);
  check.Example("taskmint store check --store tasks").Action([] { return RunCheck(options); });
  Command collect = store.Add("gc", "Remove blobs that nothing refers to, and empty the cache");
  collect.Flag("--json", options.json, "Print an object: what was removed, and its bytes");
  AddStoreOption(collect, options.store);
  collect.Example("taskmint store gc --store tasks").Action([] { return RunCollect(options); });
}

}  // namespace taskmint::orchestrator
