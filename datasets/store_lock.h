// Who uses a store folder: many share it, or one alone collects.
#ifndef TASKMINT_DATASETS_STORE_LOCK_H_
#define TASKMINT_DATASETS_STORE_LOCK_H_

#include <cstdint>
#include <string>

#include "proto/base/status.h"

namespace taskmint::datasets {

// A flock on `folder`/lock, released when destroyed or when the process dies. Move-only; not
// thread-safe.
class StoreLock {
 public:
  // Shared; waits up to `wait_ms` for a collector, then UNAVAILABLE.
  static Result<StoreLock> Share(const std::string& folder, int64_t wait_ms);
  StoreLock(StoreLock&& other) noexcept;
  StoreLock& operator=(StoreLock&&) = delete;
  ~StoreLock();

  // Exclusive instead of shared, or UNAVAILABLE at once, with the shared lock kept.
  Status Upgrade();
  Status Downgrade();

 private:
  StoreLock(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_STORE_LOCK_H_
