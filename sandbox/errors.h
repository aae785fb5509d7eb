// The errors of this room.
#ifndef TASKMINT_SANDBOX_ERRORS_H_
#define TASKMINT_SANDBOX_ERRORS_H_

#include <string>
#include <utility>

#include "proto/base/status.h"

namespace taskmint::sandbox {

inline Status Error(Code code, std::string message) {
  return {code, Boundary::kSandbox, std::move(message)};
}

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ERRORS_H_
