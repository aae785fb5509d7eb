// The errors of this room.
#ifndef TASKMINT_ENVIRONMENTS_ERRORS_H_
#define TASKMINT_ENVIRONMENTS_ERRORS_H_

#include <string>
#include <utility>

#include "proto/base/status.h"

namespace taskmint::environments {

inline Status Error(Code code, std::string message) {
  return {code, Boundary::kEnvironment, std::move(message)};
}

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_ERRORS_H_
