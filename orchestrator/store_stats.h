// What a store holds, counted: `taskmint stats`.
#ifndef TASKMINT_ORCHESTRATOR_STORE_STATS_H_
#define TASKMINT_ORCHESTRATOR_STORE_STATS_H_

#include <stop_token>

#include "datasets/store.h"
#include "proto/base/status.h"
#include "proto/services.pb.h"

namespace taskmint::orchestrator {

// Reads every kept task and looks at every blob's size: linear in both. Errors: those of the store,
// and CANCELLED.
Result<v1::StoreStats> StatsOf(datasets::Store& store, std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_STORE_STATS_H_
