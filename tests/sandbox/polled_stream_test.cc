// Operations on a socket that never has to wait end as those on a silent one do.
#include "sandbox/packages/polled_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <thread>

#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kLongMs = 60'000;

// A socket whose other end writes without an end, until it is closed.
class Gusher {
 public:
  Gusher() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    near_.reset(ends[0]);
    EXPECT_EQ(::fcntl(near_.get(), F_SETFL, O_NONBLOCK), 0);
    writer_ = std::jthread([far = ends[1]] {
      const UniqueFd end(far);
      const std::array<char, 65536> bytes{};
      while (::send(end.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
      }
    });
  }
  ~Gusher() { ::shutdown(near_.get(), SHUT_RDWR); }
  int fd() const { return near_.get(); }

 private:
  UniqueFd near_;
  std::jthread writer_;
};

// Reads on until it fails.
PolledStream::ErrorCode ErrorAtLast(PolledStream& stream) {
  PolledStream::ErrorCode error;
  std::array<char, 4096> bytes;
  while (!error) stream.read_some(boost::asio::buffer(bytes), error);
  return error;
}

TEST(PolledStreamTest, ADeadlineEndsWhatNeverWaits) {
  const Gusher gusher;
  boost::asio::io_context context;
  PolledStream stream(context, gusher.fd(), -1, kLongMs, 200);
  EXPECT_EQ(ErrorAtLast(stream), boost::asio::error::timed_out);
  EXPECT_GT(stream.bytes_read(), 4096U);
}

TEST(PolledStreamTest, ARequestToStopEndsWhatNeverWaits) {
  const Gusher gusher;
  const UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  boost::asio::io_context context;
  PolledStream stream(context, gusher.fd(), stop.get(), kLongMs, kLongMs);
  const std::jthread stopper([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const uint64_t one = 1;
    EXPECT_EQ(::write(stop.get(), &one, sizeof one), ssize_t{sizeof one});
  });
  EXPECT_EQ(ErrorAtLast(stream), boost::asio::error::timed_out);
  EXPECT_GT(stream.bytes_read(), 4096U);
}

}  // namespace
}  // namespace taskmint::sandbox
