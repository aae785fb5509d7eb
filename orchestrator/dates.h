// Dates as users write them.
#ifndef TASKMINT_ORCHESTRATOR_DATES_H_
#define TASKMINT_ORCHESTRATOR_DATES_H_

#include <cstdint>
#include <string>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

enum class DayPart { kBegin, kEnd };

// Seconds since the epoch of "2024-05-01" (UTC; its first or last second) or of an RFC 3339 time
// such as "2024-05-01T12:00:00+02:00". INVALID_ARGUMENT (config) for anything else.
Result<int64_t> ParseDate(const std::string& text, DayPart part);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_DATES_H_
