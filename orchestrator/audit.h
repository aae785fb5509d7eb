// What a user should know of kept tasks before training on them: near-duplicates, contamination,
// licences.
#ifndef TASKMINT_ORCHESTRATOR_AUDIT_H_
#define TASKMINT_ORCHESTRATOR_AUDIT_H_

#include <cstdint>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

// One reason for which a task is flagged. At most one of each kind a task.
struct AuditFlag {
  enum class Kind { kNearDuplicate, kContaminated, kLicenceUnknown };
  Kind kind = Kind::kNearDuplicate;
  std::string task_id;
  // kNearDuplicate: the id of the task before it. kContaminated: "FILE:ID". Else empty.
  std::string other;
  // Jaccard similarity, at least datasets::kNearDuplicate; 0 for kLicenceUnknown.
  double similarity = 0;
  // What was found alike: "prompt and patch", "prompt" or "patch"; empty for kLicenceUnknown.
  std::string part;
  // The first words of both, on one line.
  std::string words;
  std::string other_words;
};

// "near-duplicate", "contaminated", "licence unknown".
std::string AuditKindName(AuditFlag::Kind kind);

struct AuditReport {
  // Tasks that were looked at.
  int64_t tasks = 0;
  // By task in the order in which they were given, then by kind.
  std::vector<AuditFlag> flags;
  // Tasks by SPDX identifier, "unknown" among them.
  std::map<std::string, int64_t> licences;

  // Ids of the tasks that have a flag of this kind.
  std::set<std::string> Flagged(AuditFlag::Kind kind) const;
  // How many tasks have a flag of any kind.
  int64_t FlaggedTasks() const;
};

// Looks at kept tasks, in this order: of near-duplicates the earlier one is the original and is not
// flagged. datasets/near_duplicates.h says what near is, datasets/decontamination_set.h what of a
// file is compared with what; of several contaminating documents the first is named. A task that is
// near only to a flagged one is flagged as well. Reads the store, writes nothing, runs nothing.
//
// Errors: NOT_FOUND for an unknown id, FAILED_PRECONDITION for a rejected candidate's, DATA_LOSS
// for a damaged patch, INVALID_ARGUMENT (config) for a file that cannot be used, CANCELLED after
// `stop`. Linear; holds 8 bytes a word of prompts and patches three times, and one file of at most
// 256 MiB.
Result<AuditReport> AuditTasks(datasets::Store& store, const std::vector<std::string>& task_ids,
                               const std::vector<std::string>& decontamination_files,
                               std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_AUDIT_H_
