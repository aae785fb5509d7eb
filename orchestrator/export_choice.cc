#include "orchestrator/export_choice.h"

#include <cstdio>

#include "orchestrator/audit.h"

namespace taskmint::orchestrator {
namespace {

using Kind = AuditFlag::Kind;

bool IsAllowed(Kind kind, const ExportChoice& choice) {
  switch (kind) {
    case Kind::kNearDuplicate:
      return choice.near_duplicates_ok;
    case Kind::kContaminated:
      return choice.contaminated_ok;
    case Kind::kLicenceUnknown:
      return choice.licence_unknown_ok;
  }
  return false;
}

std::string ReasonOf(const AuditFlag& flag) {
  char similarity[16];
  std::snprintf(similarity, sizeof similarity, "%.2f", flag.similarity);
  const std::string pair = flag.other + " (" + similarity + ", " + flag.part + ": \"" + flag.words +
                           "\", \"" + flag.other_words + "\")";
  switch (flag.kind) {
    case Kind::kNearDuplicate:
      return "near-duplicate of " + pair + "; --near-duplicates-ok takes it along";
    case Kind::kContaminated:
      return "contaminated: near to " + pair + "; --contaminated-ok takes it along";
    case Kind::kLicenceUnknown:
      break;
  }
  return "its licence is unknown; --licence-unknown-ok takes it along";
}

}  // namespace

Result<ChosenTasks> ChooseTasks(datasets::Store& store, const ExportChoice& choice,
                                const std::vector<std::string>& ids, std::stop_token stop) {
  std::vector<std::string> readable;
  for (const std::string& id : ids) {
    const auto kept = store.FindById(id);
    if (kept.ok() && store.blobs().Get(kept->task().solution().patch_digest()).ok()) {
      readable.push_back(id);
    }
  }
  ChosenTasks chosen;
  const auto take = [&](const AuditReport& report, bool near_duplicates) {
    for (const AuditFlag& flag : report.flags) {
      if ((flag.kind == Kind::kNearDuplicate) != near_duplicates) continue;
      if (IsAllowed(flag.kind, choice)) {
        chosen.allowed[flag.task_id].insert(AuditKindName(flag.kind));
      } else {
        chosen.left_out.try_emplace(flag.task_id,
                                    ChosenTasks::LeftOut{AuditKindName(flag.kind), ReasonOf(flag)});
      }
    }
  };
  TASKMINT_ASSIGN_OR_RETURN(const AuditReport all,
                            AuditTasks(store, readable, choice.decontamination_files, stop));
  take(all, false);
  // What is left out is nobody's original.
  std::erase_if(readable, [&](const std::string& id) { return chosen.left_out.contains(id); });
  TASKMINT_ASSIGN_OR_RETURN(const AuditReport rest,
                            AuditTasks(store, readable, {}, std::move(stop)));
  take(rest, true);
  return chosen;
}

}  // namespace taskmint::orchestrator
