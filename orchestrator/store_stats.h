// What a store holds, counted: `taskmint stats`.
#ifndef TASKMINT_ORCHESTRATOR_STORE_STATS_H_
#define TASKMINT_ORCHESTRATOR_STORE_STATS_H_

#include "datasets/store.h"
#include "proto/base/status.h"
#include "proto/services.pb.h"

namespace taskmint::orchestrator {

// Reads every kept task and looks at every blob's size: linear in both. Errors: those of the store.
Result<v1::StoreStats> StatsOf(datasets::Store& store);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_STORE_STATS_H_
