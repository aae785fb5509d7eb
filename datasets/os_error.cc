#include "datasets/os_error.h"

#include <cerrno>
#include <system_error>

namespace taskmint::datasets {

Status OsError(int error_number, std::string_view action, const std::string& path) {
  const std::string message = "cannot " + std::string(action) + " " + path + ": " +
                              std::generic_category().message(error_number);
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {Code::kResourceExhausted, Boundary::kStore,
              message + "; free some space there, then run the same command again"};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {Code::kResourceExhausted, Boundary::kStore, message};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Code::kPermissionDenied, Boundary::kStore,
              message + "; give this user the right to it, or name another store with --store"};
    case ENOENT:
    case ENOTDIR:
      return {Code::kNotFound, Boundary::kStore, message};
    case EIO:
      return {Code::kDataLoss, Boundary::kStore, message + "; the disk may be failing"};
    default:
      return {Code::kInternal, Boundary::kStore, message};
  }
}

}  // namespace taskmint::datasets
