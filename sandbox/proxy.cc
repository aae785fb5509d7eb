#include "sandbox/proxy.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/utf8.h"
#include "sandbox/errors.h"
#include "sandbox/fd.h"
#include "sandbox/proxy_request.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kConnectionsMax = 64;
constexpr int64_t kHeadMsMax = 30'000;
constexpr int64_t kConnectMsMax = 15'000;
constexpr int64_t kIdleMsMax = 300'000;
constexpr char kFolderPrefix[] = "taskmint-proxy-";

// Waits for one descriptor, or the proxy's end. False at the deadline and at the end.
bool Await(int fd, short events, int stop_fd, int64_t wall_ms) {
  pollfd polled[2] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
  int count;
  do {
    count = ::poll(polled, 2, static_cast<int>(wall_ms));
  } while (count < 0 && errno == EINTR);
  return count > 0 && polled[1].revents == 0;
}

bool SendAll(int fd, std::string_view bytes, int stop_fd) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size > 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (size < 0 && errno == EAGAIN) {
      if (!Await(fd, POLLOUT, stop_fd, kIdleMsMax)) return false;
    } else if (size == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

void Refuse(int fd, int stop_fd, const std::string& status, const std::string& body) {
  SendAll(fd,
          "HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body,
          stop_fd);
}

// Reads a request's head. Nothing, with the client told, when it is none of ours.
std::optional<ProxyRequest> ReadRequest(int client, int stop_fd) {
  ProxyRequestParser parser;
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + kHeadMsMax;
  while (true) {
    const int64_t left_ms = deadline_ms - clock.MonotonicMs();
    if (left_ms <= 0 || !Await(client, POLLIN, stop_fd, left_ms)) return std::nullopt;
    char buffer[16384];
    const ssize_t size = ::recv(client, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return std::nullopt;
    switch (parser.Add({buffer, static_cast<size_t>(size)})) {
      case ProxyRequestParser::State::kMore:
        break;
      case ProxyRequestParser::State::kDone:
        return parser.Take();
      case ProxyRequestParser::State::kBad:
        Refuse(client, stop_fd, "400 Bad Request",
               "this proxy takes CONNECT host:port and http://host/path\n");
        return std::nullopt;
    }
  }
}

UniqueFd ConnectTo(const AllowedHost& target, int stop_fd) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  // RFC 6761, 6.3: localhost is this machine, also where no hosts file says so.
  const char* name = LowerCase(target.host) == "localhost" ? nullptr : target.host.c_str();
  if (::getaddrinfo(name, std::to_string(target.port).c_str(), &hints, &found) != 0) return {};
  UniqueFd connected;
  for (const addrinfo* each = found; each != nullptr && !connected.valid(); each = each->ai_next) {
    UniqueFd fd(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) continue;
    if (::connect(fd.get(), each->ai_addr, each->ai_addrlen) != 0) {
      int error = 0;
      socklen_t size = sizeof error;
      if (errno != EINPROGRESS || !Await(fd.get(), POLLOUT, stop_fd, kConnectMsMax) ||
          ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        continue;
      }
    }
    connected = std::move(fd);
  }
  ::freeaddrinfo(found);
  return connected;
}

class HttpProxy final : public Proxy {
 public:
  explicit HttpProxy(std::vector<AllowedHost> allowed) : allowed_(std::move(allowed)) {
    for (AllowedHost& host : allowed_) host.host = LowerCase(std::move(host.host));
  }

  ~HttpProxy() override {
    if (stop_.valid()) ::eventfd_write(stop_.get(), 1);
    if (acceptor_.joinable()) acceptor_.join();
    workers_.clear();
    listener_.reset();
    if (folder_.empty()) return;
    ::unlink(socket_path_.c_str());
    ::rmdir(folder_.c_str());
  }

  Status Listen() {
    std::error_code error;
    std::filesystem::path temporary = std::filesystem::temp_directory_path(error);
    // The path of a unix socket has 107 bytes.
    if (error || temporary.native().size() > 60) temporary = "/tmp";
    Sweep(temporary.native());
    std::string pattern =
        temporary.native() + "/" + kFolderPrefix + std::to_string(::getpid()) + "-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
      return Error(Code::kUnavailable,
                   "cannot make a folder in " + temporary.native() + ": " + std::strerror(errno));
    }
    folder_ = pattern;
    socket_path_ = folder_ + "/socket";
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path_.copy(address.sun_path, sizeof address.sun_path - 1);
    // The folder keeps others out; a sandbox is shown the socket alone, as a user of its own.
    if (!stop_.valid() || !listener_.valid() ||
        ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(socket_path_.c_str(), 0666) != 0 || ::listen(listener_.get(), 128) != 0) {
      return Error(Code::kUnavailable,
                   "cannot listen on " + socket_path_ + ": " + std::strerror(errno));
    }
    acceptor_ = std::jthread([this] { AcceptLoop(); });
    return OkStatus();
  }

  const std::string& socket_path() const override { return socket_path_; }

  void Allow(const AllowedHost& host) override {
    const std::lock_guard lock(mutex_);
    allowed_.push_back({LowerCase(host.host), host.port});
  }

  std::vector<ProxyConnection> connections() const override {
    const std::lock_guard lock(mutex_);
    return {connections_.begin(), connections_.end()};
  }

 private:
  struct Worker {
    std::atomic<bool> done = false;
    std::jthread thread;
  };

  // Folders are named after the process: those of dead ones are left over from a kill -9.
  static void Sweep(const std::string& temporary) {
    DIR* stream = ::opendir(temporary.c_str());
    if (stream == nullptr) return;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (!name.starts_with(kFolderPrefix)) continue;
      const pid_t pid = std::atoi(entry->d_name + sizeof kFolderPrefix - 1);
      if (pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH) continue;
      const std::string folder = temporary + "/" + entry->d_name;
      ::unlink((folder + "/socket").c_str());
      ::rmdir(folder.c_str());
    }
    ::closedir(stream);
  }

  void AcceptLoop() {
    while (true) {
      workers_.remove_if([](const Worker& worker) { return worker.done.load(); });
      const bool room = workers_.size() < kConnectionsMax;
      pollfd polled[2] = {{room ? listener_.get() : -1, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      ::poll(polled, 2, room ? 1000 : 50);
      if (polled[1].revents != 0) return;
      if (polled[0].revents == 0) continue;
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) continue;
      Worker& worker = workers_.emplace_back();
      try {
        worker.thread = std::jthread([this, fd, &worker] {
          try {
            Serve(UniqueFd(fd));
          } catch (const std::exception& error) {
            Log(LogLevel::kWarning, "proxy connection failed", {{"error", error.what()}});
          }
          worker.done = true;
        });
      } catch (const std::system_error&) {
        ::close(fd);
        workers_.pop_back();
      }
    }
  }

  bool IsAllowed(const AllowedHost& target) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(allowed_.begin(), allowed_.end(), [&](const AllowedHost& host) {
      return host.host == target.host && host.port == target.port;
    });
  }

  void Serve(UniqueFd client) {
    const std::optional<ProxyRequest> request = ReadRequest(client.get(), stop_.get());
    if (!request.has_value()) return;
    const AllowedHost& target = request->target;
    const bool allowed = IsAllowed(target);
    ProxyConnection* record;
    {
      const std::lock_guard lock(mutex_);
      record = &connections_.emplace_back();
      *record = {target.host, target.port, allowed, 0, 0};
    }
    if (!allowed) {
      Log(LogLevel::kInfo, "proxy refused",
          {{"host", target.host}, {"port", std::to_string(target.port)}});
      Refuse(client.get(), stop_.get(), "403 Forbidden",
             "taskmint: the host '" + target.host + "' at port " + std::to_string(target.port) +
                 " is not on the allow list\n");
      return;
    }
    const UniqueFd server = ConnectTo(target, stop_.get());
    if (!server.valid()) {
      Refuse(client.get(), stop_.get(), "502 Bad Gateway",
             "taskmint: cannot reach '" + target.host + "' at port " + std::to_string(target.port) +
                 "\n");
      return;
    }
    const std::string& head = request->head;
    const bool begun =
        request->is_tunnel
            ? SendAll(client.get(), "HTTP/1.1 200 Connection established\r\n\r\n", stop_.get())
            : SendAll(server.get(), head, stop_.get());
    if (begun && SendAll(server.get(), request->rest, stop_.get())) {
      Count(record, head.size() + request->rest.size(), 0);
      Relay(client.get(), server.get(), record);
    }
    const std::lock_guard lock(mutex_);
    Log(LogLevel::kInfo, "proxy connection",
        {{"host", target.host},
         {"port", std::to_string(target.port)},
         {"bytes_out", std::to_string(record->bytes_out)},
         {"bytes_in", std::to_string(record->bytes_in)}});
  }

  void Count(ProxyConnection* record, uint64_t out, uint64_t in) {
    const std::lock_guard lock(mutex_);
    record->bytes_out += out;
    record->bytes_in += in;
  }

  // Both ways until both have ended, or nothing moves for too long.
  void Relay(int client, int server, ProxyConnection* record) {
    bool client_open = true;
    bool server_open = true;
    while (client_open || server_open) {
      pollfd polled[3] = {{client_open ? client : -1, POLLIN, 0},
                          {server_open ? server : -1, POLLIN, 0},
                          {stop_.get(), POLLIN, 0}};
      const int count = ::poll(polled, 3, static_cast<int>(kIdleMsMax));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0 || polled[2].revents != 0) return;
      char buffer[65536];
      const auto move = [&](int from, int to, bool* open) {
        const ssize_t size = ::recv(from, buffer, sizeof buffer, 0);
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) return true;
        if (size < 0) return false;
        if (size == 0) {
          *open = false;
          ::shutdown(to, SHUT_WR);
          return true;
        }
        const uint64_t moved = static_cast<uint64_t>(size);
        Count(record, from == client ? moved : 0, from == client ? 0 : moved);
        return SendAll(to, {buffer, static_cast<size_t>(size)}, stop_.get());
      };
      if (polled[0].revents != 0 && !move(client, server, &client_open)) return;
      if (polled[1].revents != 0 && !move(server, client, &server_open)) return;
    }
  }

  std::string folder_;
  std::string socket_path_;
  UniqueFd listener_;
  UniqueFd stop_;  // an event; readable for ever once the proxy ends
  mutable std::mutex mutex_;
  std::vector<AllowedHost> allowed_;
  std::list<ProxyConnection> connections_;  // a list: the addresses stay
  std::list<Worker> workers_;               // of the acceptor alone
  std::jthread acceptor_;
};

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::Start(std::vector<AllowedHost> allowed) {
  auto proxy = std::make_unique<HttpProxy>(std::move(allowed));
  TASKMINT_RETURN_IF_ERROR(proxy->Listen());
  return std::unique_ptr<Proxy>(std::move(proxy));
}

}  // namespace taskmint::sandbox
