// What a task that was made elsewhere must be like before a store takes it.
#ifndef TASKMINT_DATASETS_FOREIGN_TASK_H_
#define TASKMINT_DATASETS_FOREIGN_TASK_H_

#include "proto/base/status.h"
#include "proto/evidence.pb.h"
#include "proto/task.pb.h"

namespace taskmint::datasets {

// A record may have the id that it claims and yet name paths, limits or commands that no pipeline
// writes. INVALID_ARGUMENT (config) names the first field that is not as it should be: of category
// code; digests are digests; paths lie inside trees; work folder and layers stand where they may;
// limits are positive and bounded; texts are of bounded size and hold no control characters; lists
// are sorted and without doubles.
Status CheckForeignTask(const v1::Task& task);

// An evidence row: a known gate, bounded sizes.
Status CheckForeignEvidence(const v1::Evidence& evidence);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_FOREIGN_TASK_H_
