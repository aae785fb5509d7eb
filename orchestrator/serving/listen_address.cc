#include "orchestrator/serving/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kAddressBytesMax = 300;

Status NoAddress(const std::string& text) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          "'" + Printable(text.substr(0, kAddressBytesMax)) +
              "' is no address to listen on: write 127.0.0.1:7070, [::1]:7070 or unix:/path"};
}

bool IsPort(const std::string& text) {
  int port = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 0 && port <= 65535;
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr four{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six{};
  return inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

}  // namespace

Result<ListenAddress> ParseListenAddress(const std::string& text) {
  if (text.size() > kAddressBytesMax || text.find('\0') != std::string::npos) {
    return NoAddress(text);
  }
  if (text.starts_with("unix:")) {
    if (text.size() == std::string("unix:").size()) return NoAddress(text);
    return ListenAddress{text, true};
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || !IsPort(text.substr(colon + 1))) {
    return NoAddress(text);
  }
  std::string host = text.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || bracketed != (host.find(':') != std::string::npos)) return NoAddress(text);
  return ListenAddress{text, IsLoopback(host)};
}

}  // namespace taskmint::orchestrator
