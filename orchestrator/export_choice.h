// Which kept tasks an export leaves out, and why.
#ifndef TASKMINT_ORCHESTRATOR_EXPORT_CHOICE_H_
#define TASKMINT_ORCHESTRATOR_EXPORT_CHOICE_H_

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

// What the user wants to have although it is flagged, and what tasks are compared with.
struct ExportChoice {
  // Tasks of unknown licence.
  bool licence_unknown_ok = false;
  // Near-duplicates of tasks before them.
  bool near_duplicates_ok = false;
  // Tasks that are near to something in a file of `decontamination_files`.
  bool contaminated_ok = false;
  std::vector<std::string> decontamination_files;
};

struct ChosenTasks {
  struct LeftOut {
    // "licence unknown", "near-duplicate" or "contaminated".
    std::string kind;
    // For people, with the other of the pair.
    std::string reason;
  };
  // By task id.
  std::map<std::string, LeftOut> left_out;
  // Kinds of flags that the user allowed, by task id; tasks that are left out may be among them.
  std::map<std::string, std::set<std::string>> allowed;
};

// Judges kept tasks by AuditTasks. A task that cannot be read is not judged: whoever writes it says
// what is wrong with it. Errors as AuditTasks.
Result<ChosenTasks> ChooseTasks(datasets::Store& store, const ExportChoice& choice,
                                const std::vector<std::string>& ids, std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EXPORT_CHOICE_H_
