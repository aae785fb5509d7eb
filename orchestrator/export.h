// Kept tasks to files that others load: `taskmint export`.
#ifndef TASKMINT_ORCHESTRATOR_EXPORT_H_
#define TASKMINT_ORCHESTRATOR_EXPORT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "datasets/task_import.h"
#include "orchestrator/export_choice.h"
#include "proto/base/status.h"
#include "proto/task.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

struct ExportRequest {
  datasets::ExportFormat format = datasets::ExportFormat::kHarbor;
  // The folder to make.
  std::string out;
  // SQLite expression over task_view; empty: every kept task.
  std::string where;
  // "org/name".
  std::string name;
  // Of SWE-bench's rows.
  std::string split;
  // What goes along although it is flagged.
  ExportChoice choice;
  // Whether an earlier export at `out` is replaced.
  bool force = false;
  // Tasks written, and proven, at once.
  int64_t jobs = 1;
};

struct ExportSummary {
  struct Written {
    std::string id;
    // "org/attrs-3fa94c21b0de", or SWE-bench's instance id.
    std::string name;
    // Below `out`.
    std::string folder;
    // Harbor's content hash; over all files for SWE-bench.
    std::string digest;
    // Attack programs that the proof held off; 0 where there was none.
    int64_t cheaters = 0;
    // Found complete, left by an export that was interrupted.
    bool resumed = false;
  };
  struct Skipped {
    std::string id;
    std::string reason;
    // "near-duplicate" and the like; empty where writing or proving it failed.
    std::string kind;
    // Its proof failed, the task is damaged or the machine failed: no decision of the export's.
    bool failed = false;
  };
  // In the order of the store's list.
  std::vector<Written> tasks;
  std::vector<Skipped> skipped;
  bool proven = false;
  // Of dataset.toml; empty for SWE-bench.
  std::string dataset_hash;
  int64_t wall_ms = 0;
};

struct ExportProgress {
  int64_t done = 0;
  int64_t total = 0;
  int64_t skipped = 0;
};
// Called before the first task and after each, by one thread at a time.
using ExportListener = std::function<void(const ExportProgress&)>;

// Writes the tasks for which `where` holds to OUT.partial beside `out`, and renames that when all
// of them are done: `out` is whole or absent. Each is proven (orchestrator/export_proof.h) over
// `sandboxes`, and left out where that fails; null: none is. Interrupted (CANCELLED) or out
// of space, what was finished stays in OUT.partial, and the same request goes on there, also with
// another `where`: what it does not choose is left out. One of another format, name, split or
// proving begins anew. Where no task can be written, nothing is left but what an interrupted export
// finished.
//
// Errors: INVALID_ARGUMENT (config) for an `out` that CheckExportTarget refuses, an OUT.partial
// that no export made, and a `where` that is none; UNAVAILABLE (config) while another process
// writes there; those of the store and of writing.
Result<ExportSummary> ExportTasks(datasets::Store& store, const ExportRequest& request,
                                  sandbox::SandboxHost* sandboxes, const ExportListener& listener,
                                  std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EXPORT_H_
