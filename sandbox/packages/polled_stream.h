// A socket as Boost.Beast reads and writes it, with time limits and an end from outside.
#ifndef TASKMINT_SANDBOX_PACKAGES_POLLED_STREAM_H_
#define TASKMINT_SANDBOX_PACKAGES_POLLED_STREAM_H_

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "proto/base/clock.h"
#include "sandbox/socket_server.h"

namespace taskmint::sandbox {

// A SyncStream over a non-blocking socket that it does not own. Asio's own have no time limits for
// synchronous calls. An operation ends with timed_out when nothing moves for `idle_ms_max`, at the
// deadline, and when `stop_fd` is readable. Not thread-safe.
class PolledStream {
 public:
  using executor_type = boost::asio::io_context::executor_type;
  using lowest_layer_type = PolledStream;
  using ErrorCode = boost::system::error_code;

  PolledStream(boost::asio::io_context& context, int fd, int stop_fd, int64_t idle_ms_max,
               int64_t wall_ms_max)
      : context_(context),
        fd_(fd),
        stop_fd_(stop_fd),
        idle_ms_max_(idle_ms_max),
        deadline_ms_(SystemClock().MonotonicMs() + wall_ms_max) {}

  executor_type get_executor() { return context_.get_executor(); }
  lowest_layer_type& lowest_layer() { return *this; }
  const lowest_layer_type& lowest_layer() const { return *this; }

  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t bytes_written() const { return bytes_written_; }

  template <typename Buffers>
  size_t read_some(const Buffers& buffers, ErrorCode& error) {
    const boost::asio::mutable_buffer buffer = First<boost::asio::mutable_buffer>(buffers);
    error = {};
    if (buffer.size() == 0 || IsOver(error)) return 0;
    while (true) {
      const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (size > 0) {
        bytes_read_ += static_cast<uint64_t>(size);
        return static_cast<size_t>(size);
      }
      if (size == 0) {
        error = boost::asio::error::eof;
        return 0;
      }
      if (!Again(POLLIN, error)) return 0;
    }
  }
  template <typename Buffers>
  size_t write_some(const Buffers& buffers, ErrorCode& error) {
    const boost::asio::const_buffer buffer = First<boost::asio::const_buffer>(buffers);
    error = {};
    if (buffer.size() == 0 || IsOver(error)) return 0;
    while (true) {
      const ssize_t size = ::send(fd_, buffer.data(), buffer.size(), MSG_NOSIGNAL);
      if (size >= 0) {
        bytes_written_ += static_cast<uint64_t>(size);
        return static_cast<size_t>(size);
      }
      if (!Again(POLLOUT, error)) return 0;
    }
  }
  template <typename Buffers>
  size_t read_some(const Buffers& buffers) {
    return OrThrow([&](ErrorCode& error) { return read_some(buffers, error); });
  }
  template <typename Buffers>
  size_t write_some(const Buffers& buffers) {
    return OrThrow([&](ErrorCode& error) { return write_some(buffers, error); });
  }

 private:
  // The first that is not empty.
  template <typename Buffer, typename Buffers>
  static Buffer First(const Buffers& buffers) {
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end; ++at) {
      const Buffer buffer(*at);
      if (buffer.size() > 0) return buffer;
    }
    return Buffer();
  }

  template <typename Operation>
  static size_t OrThrow(Operation operation) {
    ErrorCode error;
    const size_t size = operation(error);
    if (error) throw boost::system::system_error(error);
    return size;
  }

  // Whether it has to end, however much still moves.
  bool IsOver(ErrorCode& error) const {
    pollfd stopped{stop_fd_, POLLIN, 0};
    if (SystemClock().MonotonicMs() < deadline_ms_ && ::poll(&stopped, 1, 0) == 0) return false;
    error = boost::asio::error::timed_out;
    return true;
  }

  // After a failed call: whether it may be tried again now.
  bool Again(short events, ErrorCode& error) const {
    if (errno == EINTR) return true;
    if (errno != EAGAIN) {
      error = ErrorCode(errno, boost::system::system_category());
      return false;
    }
    const int64_t left_ms = deadline_ms_ - SystemClock().MonotonicMs();
    if (left_ms > 0 && AwaitSocket(fd_, events, stop_fd_, std::min(left_ms, idle_ms_max_))) {
      return true;
    }
    error = boost::asio::error::timed_out;
    return false;
  }

  boost::asio::io_context& context_;
  const int fd_;
  const int stop_fd_;
  const int64_t idle_ms_max_;
  const int64_t deadline_ms_;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_POLLED_STREAM_H_
