// What of a task a caller may see.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_PUBLIC_TASK_H_
#define TASKMINT_ORCHESTRATOR_SERVING_PUBLIC_TASK_H_

#include "proto/task.pb.h"
#include "proto/verdict.pb.h"

namespace taskmint::orchestrator {

// What is asked, where, with which tools, and where it comes from. Neither solution nor verifier,
// and nothing by which the fix could be looked up where the source is public: its SHA, its
// parent's, its time, its issues. A field that is new is not shown until it is named here.
v1::Task PublicTask(const v1::Task& task);

// State, score, components, digest, times, and a reason that names no hidden test.
v1::Verdict PublicVerdict(const v1::Verdict& verdict);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_PUBLIC_TASK_H_
