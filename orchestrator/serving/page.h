// Answers that come in pages.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_PAGE_H_
#define TASKMINT_ORCHESTRATOR_SERVING_PAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// Clients that set no limit of their own refuse messages of more than 4 MiB.
constexpr size_t kPageBytesMax = 3'500'000;

// Where a page begins, and how many rows it has at most.
struct Page {
  std::optional<size_t> begin;  // nothing: where the first one does
  size_t rows_max = 0;          // 0: as many as fit
};

// INVALID_ARGUMENT for a token that is no number, and a negative size.
Result<Page> ReadPage(const std::string& token, int64_t size);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_PAGE_H_
