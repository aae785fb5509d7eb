// What an audit found, as it travels.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_AUDIT_RECORD_H_
#define TASKMINT_ORCHESTRATOR_SERVING_AUDIT_RECORD_H_

#include "orchestrator/audit.h"
#include "proto/services.pb.h"

namespace taskmint::orchestrator {

v1::AuditReport ToRecord(const AuditReport& report);
// Flags of a kind that this version does not know are left out.
AuditReport FromRecord(const v1::AuditReport& record);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_AUDIT_RECORD_H_
