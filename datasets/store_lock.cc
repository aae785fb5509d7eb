#include "datasets/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "datasets/os_error.h"

namespace taskmint::datasets {
namespace {

constexpr std::chrono::milliseconds kPoll(10);

int Lock(int descriptor, int operation) {
  while (flock(descriptor, operation | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace

Result<StoreLock> StoreLock::Share(const std::string& folder, int64_t wait_ms) {
  std::string path = folder + "/lock";
  int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  // Whoever may only read the store may share it, too.
  if (descriptor < 0) descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return OsError(errno, "open", path);
  StoreLock lock(path, descriptor);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  for (;;) {
    const int error = Lock(descriptor, LOCK_SH);
    if (error == 0) return lock;
    if (error != EWOULDBLOCK) return OsError(error, "lock", path);
    if (std::chrono::steady_clock::now() > end) {
      return Status(
          Code::kUnavailable, Boundary::kStore,
          folder + " is being collected (`taskmint store gc`): try again when it is done");
    }
    std::this_thread::sleep_for(kPoll);
  }
}

StoreLock::StoreLock(StoreLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

StoreLock::~StoreLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status StoreLock::Upgrade() {
  const int error = Lock(descriptor_, LOCK_EX);
  if (error == 0) return OkStatus();
  // A failed conversion may have dropped the shared lock.
  TASKMINT_RETURN_IF_ERROR(Downgrade());
  if (error != EWOULDBLOCK) return OsError(error, "lock", path_);
  return {Code::kUnavailable, Boundary::kStore,
          "another process uses this store: run `taskmint store gc` again when it is done"};
}

Status StoreLock::Downgrade() {
  while (flock(descriptor_, LOCK_SH) != 0) {
    if (errno != EINTR) return OsError(errno, "lock", path_);
  }
  return OkStatus();
}

}  // namespace taskmint::datasets
