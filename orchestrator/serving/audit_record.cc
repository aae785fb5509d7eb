#include "orchestrator/serving/audit_record.h"

#include <array>

namespace taskmint::orchestrator {
namespace {

using Recorded = v1::AuditReport::Flag;

constexpr std::array<std::pair<AuditFlag::Kind, Recorded::Kind>, 3> kKinds{{
    {AuditFlag::Kind::kNearDuplicate, Recorded::KIND_NEAR_DUPLICATE},
    {AuditFlag::Kind::kContaminated, Recorded::KIND_CONTAMINATED},
    {AuditFlag::Kind::kLicenceUnknown, Recorded::KIND_LICENCE_UNKNOWN},
}};

}  // namespace

v1::AuditReport ToRecord(const AuditReport& report) {
  v1::AuditReport record;
  record.set_tasks(report.tasks);
  record.mutable_licences()->insert(report.licences.begin(), report.licences.end());
  for (const AuditFlag& flag : report.flags) {
    Recorded& recorded = *record.add_flags();
    for (const auto& [kind, number] : kKinds) {
      if (kind == flag.kind) recorded.set_kind(number);
    }
    recorded.set_task_id(flag.task_id);
    recorded.set_other(flag.other);
    recorded.set_similarity(flag.similarity);
    recorded.set_part(flag.part);
    recorded.set_words(flag.words);
    recorded.set_other_words(flag.other_words);
  }
  return record;
}

AuditReport FromRecord(const v1::AuditReport& record) {
  AuditReport report;
  report.tasks = record.tasks();
  report.licences = {record.licences().begin(), record.licences().end()};
  for (const Recorded& recorded : record.flags()) {
    for (const auto& [kind, number] : kKinds) {
      if (number != recorded.kind()) continue;
      report.flags.push_back({kind, recorded.task_id(), recorded.other(), recorded.similarity(),
                              recorded.part(), recorded.words(), recorded.other_words()});
    }
  }
  return report;
}

}  // namespace taskmint::orchestrator
