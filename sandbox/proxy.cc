#include "sandbox/proxy.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <list>
#include <mutex>
#include <optional>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/utf8.h"
#include "sandbox/fd.h"
#include "sandbox/host_connection.h"
#include "sandbox/proxy_request.h"
#include "sandbox/socket_server.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kHeadMsMax = 30'000;
constexpr int64_t kIdleMsMax = 300'000;

void Refuse(int fd, int stop_fd, const std::string& status, const std::string& body) {
  SendAll(fd,
          "HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body,
          stop_fd, kIdleMsMax);
}

// Reads a request's head. Nothing, with the client told, when it is none of ours.
std::optional<ProxyRequest> ReadRequest(int client, int stop_fd) {
  ProxyRequestParser parser;
  const SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + kHeadMsMax;
  while (true) {
    const int64_t left_ms = deadline_ms - clock.MonotonicMs();
    if (left_ms <= 0 || !AwaitSocket(client, POLLIN, stop_fd, left_ms)) return std::nullopt;
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

class HttpProxy final : public Proxy {
 public:
  explicit HttpProxy(std::vector<AllowedHost> allowed) {
    for (AllowedHost& host : allowed) allowed_.Add(std::move(host));
  }

  Status Listen() {
    TASKMINT_ASSIGN_OR_RETURN(server_, SocketServer::Start([this](UniqueFd client, int stop_fd) {
                                Serve(std::move(client), stop_fd);
                              }));
    return OkStatus();
  }

  const std::string& socket_path() const override { return server_->socket_path(); }

  void Allow(const AllowedHost& host) override { allowed_.Add(host); }

  std::vector<ProxyConnection> connections() const override {
    const std::lock_guard lock(mutex_);
    return {connections_.begin(), connections_.end()};
  }

 private:
  void Serve(UniqueFd client, int stop_fd) {
    const std::optional<ProxyRequest> request = ReadRequest(client.get(), stop_fd);
    if (!request.has_value()) return;
    const AllowedHost& target = request->target;
    const bool allowed = allowed_.Find(target).has_value();
    ProxyConnection* record;
    {
      const std::lock_guard lock(mutex_);
      record = &connections_.emplace_back();
      *record = {target.host, target.port, allowed, 0, 0};
    }
    if (!allowed) {
      Log(LogLevel::kInfo, "proxy refused",
          {{"host", target.host}, {"port", std::to_string(target.port)}});
      Refuse(client.get(), stop_fd, "403 Forbidden",
             "taskmint: the host '" + target.host + "' at port " + std::to_string(target.port) +
                 " is not on the allow list\n");
      return;
    }
    const UniqueFd server = ConnectToHost(target, Addresses::kAny, stop_fd);
    if (!server.valid()) {
      Refuse(client.get(), stop_fd, "502 Bad Gateway",
             "taskmint: cannot reach '" + target.host + "' at port " + std::to_string(target.port) +
                 "\n");
      return;
    }
    const std::string& head = request->head;
    const bool begun = request->is_tunnel
                           ? SendAll(client.get(), "HTTP/1.1 200 Connection established\r\n\r\n",
                                     stop_fd, kIdleMsMax)
                           : SendAll(server.get(), head, stop_fd, kIdleMsMax);
    if (begun && SendAll(server.get(), request->rest, stop_fd, kIdleMsMax)) {
      Count(record, head.size() + request->rest.size(), 0);
      Relay(client.get(), server.get(), record, stop_fd);
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
  void Relay(int client, int server, ProxyConnection* record, int stop_fd) {
    bool client_open = true;
    bool server_open = true;
    while (client_open || server_open) {
      pollfd polled[3] = {{client_open ? client : -1, POLLIN, 0},
                          {server_open ? server : -1, POLLIN, 0},
                          {stop_fd, POLLIN, 0}};
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
        return SendAll(to, {buffer, static_cast<size_t>(size)}, stop_fd, kIdleMsMax);
      };
      if (polled[0].revents != 0 && !move(client, server, &client_open)) return;
      if (polled[1].revents != 0 && !move(server, client, &server_open)) return;
    }
  }

  AllowedHosts allowed_;
  mutable std::mutex mutex_;
  std::list<ProxyConnection> connections_;  // a list: the addresses stay
  std::unique_ptr<SocketServer> server_;    // last: it ends first
};

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::Start(std::vector<AllowedHost> allowed) {
  auto proxy = std::make_unique<HttpProxy>(std::move(allowed));
  TASKMINT_RETURN_IF_ERROR(proxy->Listen());
  return std::unique_ptr<Proxy>(std::move(proxy));
}

}  // namespace taskmint::sandbox
