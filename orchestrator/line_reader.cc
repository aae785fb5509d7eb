#include "orchestrator/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include "proto/base/check.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kLineBytesMax = size_t{4} << 20;

// A pipe whose reading end can be polled for the stop.
class StopPipe {
 public:
  explicit StopPipe(std::stop_token stop)
      : opened_(pipe2(ends_.data(), O_CLOEXEC) == 0), callback_(std::move(stop), [this] {
          const char byte = 's';
          [[maybe_unused]] const ssize_t ignored = write(ends_[1], &byte, 1);
        }) {
    TASKMINT_CHECK(opened_);
  }
  ~StopPipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  StopPipe(const StopPipe&) = delete;
  StopPipe& operator=(const StopPipe&) = delete;
  int end() const { return ends_[0]; }

 private:
  std::array<int, 2> ends_{-1, -1};
  bool opened_;
  std::stop_callback<std::function<void()>> callback_;
};

}  // namespace

Result<std::optional<std::string>> LineReader::Next(std::stop_token stop) {
  const StopPipe stopped(stop);
  size_t searched = 0;
  for (;;) {
    const size_t end = read_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return std::optional<std::string>(std::move(line));
    }
    if (ended_) {
      if (read_.empty()) return std::optional<std::string>();
      return std::optional<std::string>(std::exchange(read_, {}));
    }
    searched = read_.size();
    if (read_.size() > kLineBytesMax) {
      return Status(Code::kInvalidArgument, Boundary::kConfig, "a line of more than 4 MiB");
    }
    std::array<pollfd, 2> polled{{{descriptor_, POLLIN, 0}, {stopped.end(), POLLIN, 0}}};
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
      return Status(Code::kUnavailable, Boundary::kConfig,
                    std::string("cannot read standard input: ") + std::strerror(errno));
    }
    if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kNone, "interrupted");
    if (polled[0].revents == 0) continue;
    std::array<char, 65536> buffer;
    const ssize_t size = read(descriptor_, buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) {
      ended_ = true;
    } else {
      read_.append(buffer.data(), static_cast<size_t>(size));
    }
  }
}

}  // namespace taskmint::orchestrator
