// Exported tasks back into a store: `taskmint import`.
#ifndef TASKMINT_ORCHESTRATOR_IMPORT_H_
#define TASKMINT_ORCHESTRATOR_IMPORT_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "datasets/task_import.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

struct ImportSummary {
  // Ids of tasks that are new in the store, and of those that it had.
  std::vector<std::string> imported;
  std::vector<std::string> known;
  // Tasks that were refused: their place in the folder, and why.
  struct Refused {
    std::string path;
    std::string reason;
  };
  std::vector<Refused> refused;
  // What `list` shows as the source of the imported ones.
  std::string source;
  int64_t wall_ms = 0;
};

// (tasks looked at, tasks).
using ImportListener = std::function<void(int64_t, int64_t)>;

// Reads the tasks at `places` and adds those that the store does not keep yet to the run of the
// folder's name ("import:NAME"); their provenance stays the original one. Each is written whole or
// not at all; one that is refused does not keep the others out. Errors: those of the store, and
// CANCELLED once `stop` is requested, with what was read by then in the store.
Result<ImportSummary> ImportTasks(datasets::Store& store, datasets::ForeignFolder& folder,
                                  const std::vector<datasets::ForeignTaskPlace>& places,
                                  const ImportListener& listener, std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_IMPORT_H_
