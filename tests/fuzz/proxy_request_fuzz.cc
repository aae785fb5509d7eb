#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/base/check.h"
#include "sandbox/proxy_request.h"

// Any bytes, in any pieces: what is accepted names a plain host, and its head carries no second
// request or header that the client smuggled into a field.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint::sandbox;
  if (size == 0) return 0;
  const size_t piece = data[0] + size_t{1};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ProxyRequestParser parser;
  auto state = ProxyRequestParser::State::kMore;
  for (size_t at = 0; at < bytes.size() && state == ProxyRequestParser::State::kMore; at += piece) {
    state = parser.Add(bytes.substr(at, piece));
  }
  if (state != ProxyRequestParser::State::kDone) return 0;
  const ProxyRequest request = parser.Take();
  TASKMINT_CHECK(!request.target.host.empty() && request.target.port != 0);
  TASKMINT_CHECK(request.target.host.find_first_of(" \r\n/@\\") == std::string::npos);
  TASKMINT_CHECK(request.is_tunnel == request.head.empty());
  if (request.is_tunnel) return 0;
  TASKMINT_CHECK(request.head.find("\r\n\r\n") == request.head.size() - 4);
  static_cast<void>(HostOfUrl(std::string(bytes)));
  return 0;
}
