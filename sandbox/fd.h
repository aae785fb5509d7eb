// A file descriptor with an owner. No dependency: the in-sandbox agent uses it too.
#ifndef TASKMINT_SANDBOX_FD_H_
#define TASKMINT_SANDBOX_FD_H_

#include <unistd.h>

#include <utility>

namespace taskmint::sandbox {

// Closes what it holds. Not thread-safe.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  // -1 when it holds nothing.
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_FD_H_
