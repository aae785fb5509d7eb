// Filters (--where): an SQLite expression of the user's over task_view, and nothing else.
#ifndef TASKMINT_DATASETS_TASK_FILTER_H_
#define TASKMINT_DATASETS_TASK_FILTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/sqlite/connection.h"
#include "datasets/store.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// What Store::List gives a filter.
constexpr int64_t kFilterWallMsMax = 10'000;

// The rows of task_view for which `where` (empty: all) is true. See Store::List. Errors:
// INVALID_ARGUMENT for an expression that SQLite or the authorizer refuses, or that takes longer
// than `wall_ms_max`; CANCELLED when the bounds' stop is requested.
Result<std::vector<ListRow>> FilterTasks(const std::string& path, sqlite::Access access,
                                         Store::Which which, const std::string& where,
                                         int64_t wall_ms_max = kFilterWallMsMax,
                                         const FilterBounds& bounds = {});

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_TASK_FILTER_H_
