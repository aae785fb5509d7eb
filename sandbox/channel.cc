#include "sandbox/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "proto/base/clock.h"

namespace taskmint::sandbox {
namespace {

// How long the agent may leave a request unread.
constexpr int64_t kSendMsMax = 60'000;

// One frame out of the front of `bytes`: nothing until it is whole, an error for a bad length.
bool BadLength(uint32_t size) { return size == 0 || size > kFrameBytesMax; }

}  // namespace

StopEvent::StopEvent(std::stop_token stop) : stop_(std::move(stop)) {
  if (!stop_.stop_possible()) return;
  event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  callback_.emplace(stop_, [fd = event_.get()] { ::eventfd_write(fd, 1); });
}

Channel::Channel(UniqueFd socket) : socket_(std::move(socket)) {
  const int yes = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
  ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
}

Status Channel::Fail(Code code, std::string message) {
  Close();
  return {code, Boundary::kSandbox, std::move(message)};
}

Status Channel::Send(const WireWriter& frame, const std::vector<int>& fds) {
  if (!open()) return Fail(Code::kUnavailable, "the sandbox is gone");
  const std::string& body = frame.body();
  if (body.size() > kFrameBytesMax) {
    return {Code::kInvalidArgument, Boundary::kSandbox,
            "a request of " + std::to_string(body.size()) + " bytes is too large for a sandbox"};
  }
  const uint32_t size = static_cast<uint32_t>(body.size());
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  bytes += body;

  alignas(cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))] = {};
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + kSendMsMax;
  size_t sent = 0;
  while (sent < bytes.size()) {
    iovec part{bytes.data() + sent, bytes.size() - sent};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      message.msg_control = space;
      message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    }
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (count > 0) {
      sent += static_cast<size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN) return Fail(Code::kUnavailable, "the sandbox died");
    if (clock.MonotonicMs() > deadline_ms) {
      return Fail(Code::kUnavailable, "the sandbox's agent does not read");
    }
    pollfd writable{socket_.get(), POLLOUT, 0};
    ::poll(&writable, 1, 1000);
  }
  return OkStatus();
}

Status Channel::Fill() {
  while (true) {
    char buffer[65536];
    iovec part{buffer, sizeof buffer};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof space;
    // Descriptors that an agent might send do not fit beside the credentials: the kernel drops
    // them.
    const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return OkStatus();
    if (count <= 0) return Fail(Code::kUnavailable, "the sandbox died");
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        const size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < fds; ++i) {
          int fd;
          std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
          ::close(fd);
        }
      }
      if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS &&
          peer_pid_ == 0) {
        ucred credentials;
        std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
        peer_pid_ = credentials.pid;
      }
    }
    received_.append(buffer, static_cast<size_t>(count));
    // One frame at a time: an agent that never stops sending must not fill our memory.
    if (static_cast<size_t>(count) < sizeof buffer || received_.size() > kFrameBytesMax) {
      return OkStatus();
    }
  }
}

Result<std::optional<std::string>> Channel::TryReceive() {
  const auto next = [this]() -> Result<std::optional<std::string>> {
    uint32_t size = 0;
    if (received_.size() - taken_ < sizeof size) return std::optional<std::string>();
    std::memcpy(&size, received_.data() + taken_, sizeof size);
    if (BadLength(size)) return Fail(Code::kUnavailable, "the sandbox's agent sent nonsense");
    if (received_.size() - taken_ - sizeof size < size) return std::optional<std::string>();
    std::optional<std::string> body(received_.substr(taken_ + sizeof size, size));
    taken_ += sizeof size + size;
    if (taken_ == received_.size()) {
      received_.clear();
      taken_ = 0;
    }
    return body;
  };
  if (!open()) return Fail(Code::kUnavailable, "the sandbox is gone");
  TASKMINT_ASSIGN_OR_RETURN(std::optional<std::string> body, next());
  if (body.has_value()) return body;
  received_.erase(0, taken_);
  taken_ = 0;
  TASKMINT_RETURN_IF_ERROR(Fill());
  return next();
}

Result<std::string> Channel::Receive(int64_t wall_ms, const StopEvent* stop) {
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + wall_ms;
  while (true) {
    TASKMINT_ASSIGN_OR_RETURN(std::optional<std::string> body, TryReceive());
    if (body.has_value()) return std::move(*body);
    if (stop != nullptr && stop->stopped()) return Fail(Code::kCancelled, "cancelled");
    const int64_t left_ms = deadline_ms - clock.MonotonicMs();
    if (left_ms <= 0) {
      return Fail(Code::kDeadlineExceeded,
                  "the sandbox's agent did not answer within " + std::to_string(wall_ms) + " ms");
    }
    pollfd polled[2] = {{socket_.get(), POLLIN, 0}, {stop ? stop->fd() : -1, POLLIN, 0}};
    ::poll(polled, 2, static_cast<int>(std::min<int64_t>(left_ms, 60'000)));
  }
}

}  // namespace taskmint::sandbox
