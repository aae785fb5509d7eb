// What of a task a caller may see.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_PUBLIC_TASK_H_
#define TASKMINT_ORCHESTRATOR_SERVING_PUBLIC_TASK_H_

#include "proto/task.pb.h"
#include "proto/verdict.pb.h"

namespace taskmint::orchestrator {

// Without solution, verifier and the commit of the fix: with its SHA the fix can be looked up
// where the source is public.
v1::Task PublicTask(const v1::Task& task);

// Without the names of hidden tests: state, score, components, times, and a reason that names none.
v1::Verdict PublicVerdict(const v1::Verdict& verdict);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_PUBLIC_TASK_H_
