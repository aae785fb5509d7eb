// The host's end of the control socket. Whatever arrives on it is hostile: lengths are checked
// before they are believed, and every wait has an end.
#ifndef TASKMINT_SANDBOX_CHANNEL_H_
#define TASKMINT_SANDBOX_CHANNEL_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/fd.h"
#include "sandbox/wire.h"

namespace taskmint::sandbox {

// A stop token as something that poll(2) can wait for.
class StopEvent {
 public:
  explicit StopEvent(std::stop_token stop);
  // Readable once stopped; -1, which poll ignores, for a token that cannot be.
  int fd() const { return event_.get(); }
  bool stopped() const { return stop_.stop_requested(); }

 private:
  std::stop_token stop_;
  UniqueFd event_;
  std::optional<std::stop_callback<std::function<void()>>> callback_;
};

// Not thread-safe. After an error the channel is closed and every call fails with UNAVAILABLE.
class Channel {
 public:
  explicit Channel(UniqueFd socket);

  int fd() const { return socket_.get(); }
  bool open() const { return socket_.valid(); }
  void Close() { socket_.reset(); }

  // Sends one frame, with descriptors. UNAVAILABLE when the agent is gone or does not read.
  Status Send(const WireWriter& frame, const std::vector<int>& fds = {});
  // The body of the next frame. DEADLINE_EXCEEDED, CANCELLED and UNAVAILABLE all close the channel.
  Result<std::string> Receive(int64_t wall_ms, const StopEvent* stop = nullptr);
  // The next frame if all of it is there; for use with poll(fd()).
  Result<std::optional<std::string>> TryReceive();
  // The agent's process id out here, as the kernel says it (not the agent). 0 before its first
  // frame.
  pid_t peer_pid() const { return peer_pid_; }

 private:
  Status Fail(Code code, std::string message);
  Status Fill();

  UniqueFd socket_;
  std::string received_;
  size_t taken_ = 0;
  pid_t peer_pid_ = 0;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_CHANNEL_H_
