// A server on a unix socket that sandboxes are shown: its private folder, its threads, its end.
#ifndef TASKMINT_SANDBOX_SOCKET_SERVER_H_
#define TASKMINT_SANDBOX_SOCKET_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "proto/base/status.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// Serves each connection in a thread of its own, at most 64 at once; others wait to be accepted.
// Thread-safe.
class SocketServer {
 public:
  // Serves one connection, which is non-blocking, to its end. `stop_fd` is readable for ever once
  // the server ends: then it has to return soon. What it throws is logged.
  using Serve = std::function<void(UniqueFd client, int stop_fd)>;

  // Listens on a fresh unix socket in a folder of its own that only this user, and the sandboxes'
  // users, can reach. Folders that killed processes left are removed. UNAVAILABLE (sandbox).
  static Result<std::unique_ptr<SocketServer>> Start(Serve serve);
  // Tells every connection to end and waits for it.
  ~SocketServer();
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  const std::string& socket_path() const { return socket_path_; }

 private:
  struct Worker {
    std::atomic<bool> done = false;
    std::jthread thread;
  };

  explicit SocketServer(Serve serve) : serve_(std::move(serve)) {}
  Status Listen();
  void AcceptLoop();

  Serve serve_;
  std::string folder_;
  std::string socket_path_;
  UniqueFd listener_;
  UniqueFd stop_;              // an event; readable for ever once the server ends
  std::list<Worker> workers_;  // of the acceptor alone
  std::jthread acceptor_;
};

// Waits for one descriptor, or the server's end. False at the deadline and at the end.
bool AwaitSocket(int fd, short events, int stop_fd, int64_t wall_ms_max);

// Sends all of it. False when the other side is gone, takes nothing for `idle_ms_max`, or the
// server ends.
bool SendAll(int fd, std::string_view bytes, int stop_fd, int64_t idle_ms_max);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_SOCKET_SERVER_H_
