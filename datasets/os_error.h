// Failures of file system calls as Status.
#ifndef TASKMINT_DATASETS_OS_ERROR_H_
#define TASKMINT_DATASETS_OS_ERROR_H_

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint::datasets {

// "`action` `path`: No space left on device ..." at the store boundary. Full disks, quotas and
// size limits are RESOURCE_EXHAUSTED, missing rights PERMISSION_DENIED, read errors DATA_LOSS.
Status OsError(int error_number, std::string_view action, const std::string& path);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_OS_ERROR_H_
