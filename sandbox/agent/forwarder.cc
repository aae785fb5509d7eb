#include "sandbox/agent/forwarder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "sandbox/wire.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kBridgesMax = 64;
constexpr size_t kFlowBytesMax = 65536;

}  // namespace

bool Forwarder::Listen(const std::string& proxy_path) {
  proxy_path_ = proxy_path;
  listener_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kForwarderPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return listener_.valid() &&
         bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         listen(listener_.get(), 64) == 0;
}

void Forwarder::Prepare(std::vector<pollfd>* polled) const {
  if (!listener_.valid()) return;
  const bool room = bridges_.size() < kBridgesMax;
  polled->push_back({room ? listener_.get() : -1, POLLIN, 0});
  for (const Bridge& bridge : bridges_) {
    const auto wanted = [](const Flow& from, const Flow& into) {
      short events = 0;
      if (!from.source_ended && from.bytes.size() < kFlowBytesMax) events |= POLLIN;
      if (!into.bytes.empty()) events |= POLLOUT;
      return events;
    };
    const short client = wanted(bridge.to_proxy, bridge.to_client);
    const short proxy = wanted(bridge.to_client, bridge.to_proxy);
    // A side of which nothing is wanted is left out: its POLLHUP would spin the loop.
    polled->push_back({client != 0 ? bridge.client.get() : -1, client, 0});
    polled->push_back({proxy != 0 ? bridge.proxy.get() : -1, proxy, 0});
  }
}

void Forwarder::Serve(const pollfd* entries) {
  if (!listener_.valid()) return;
  const bool incoming = (entries++)->revents != 0;
  for (auto bridge = bridges_.begin(); bridge != bridges_.end(); entries += 2) {
    bool alive = true;
    if (entries[0].revents != 0 || entries[1].revents != 0) {
      alive = Move(bridge->client.get(), bridge->proxy.get(), &bridge->to_proxy) &&
              Move(bridge->proxy.get(), bridge->client.get(), &bridge->to_client);
    }
    const bool done = bridge->to_proxy.target_closed && bridge->to_client.target_closed;
    bridge = alive && !done ? std::next(bridge) : bridges_.erase(bridge);
  }
  if (incoming) Accept();
}

void Forwarder::Accept() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  UniqueFd proxy(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  proxy_path_.copy(address.sun_path, sizeof address.sun_path - 1);
  if (!client.valid() || !proxy.valid() ||
      connect(proxy.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return;
  }
  Bridge& bridge = bridges_.emplace_back();
  bridge.client = std::move(client);
  bridge.proxy = std::move(proxy);
}

bool Forwarder::Move(int source, int target, Flow* flow) {
  const auto waits = [] { return errno == EAGAIN || errno == EINTR; };
  if (!flow->source_ended && flow->bytes.size() < kFlowBytesMax) {
    char buffer[kFlowBytesMax];
    const ssize_t size = recv(source, buffer, kFlowBytesMax - flow->bytes.size(), 0);
    if (size > 0) flow->bytes.append(buffer, static_cast<size_t>(size));
    if (size == 0) flow->source_ended = true;
    if (size < 0 && !waits()) return false;
  }
  if (!flow->bytes.empty()) {
    const ssize_t size = send(target, flow->bytes.data(), flow->bytes.size(), MSG_NOSIGNAL);
    if (size > 0) flow->bytes.erase(0, static_cast<size_t>(size));
    if (size < 0 && !waits()) return false;
  }
  if (flow->source_ended && flow->bytes.empty() && !flow->target_closed) {
    shutdown(target, SHUT_WR);
    flow->target_closed = true;
  }
  return true;
}

}  // namespace taskmint::sandbox
