#include "orchestrator/serving_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "datasets/os_error.h"

namespace taskmint::orchestrator {

Result<ServingLock> ServingLock::Take(const std::string& folder) {
  const std::string path = folder + "/serve.lock";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return datasets::OsError(errno, "open", path);
  ServingLock lock(descriptor);
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return datasets::OsError(errno, "lock", path);
    return Status(
        Code::kUnavailable, Boundary::kStore,
        "another server serves " + folder + ": end it first, or serve another store (--store)");
  }
  return lock;
}

ServingLock::ServingLock(ServingLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

ServingLock::~ServingLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace taskmint::orchestrator
