// One server a store.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_LOCK_H_
#define TASKMINT_ORCHESTRATOR_SERVING_LOCK_H_

#include <string>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// An exclusive flock on `folder`/serve.lock, released when destroyed or when the process dies.
// Move-only; not thread-safe.
class ServingLock {
 public:
  // UNAVAILABLE (store) at once where another server has it; errors of the file system.
  static Result<ServingLock> Take(const std::string& folder);
  ServingLock(ServingLock&& other) noexcept;
  ServingLock& operator=(ServingLock&&) = delete;
  ~ServingLock();

 private:
  explicit ServingLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_LOCK_H_
