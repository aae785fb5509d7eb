#include "sandbox/proxy_request.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <utility>

#include "proto/base/utf8.h"

namespace taskmint::sandbox {
namespace {

namespace http = boost::beast::http;

constexpr uint32_t kHeadBytesMax = 65536;

// "host", "host:port", "[v6]:port".
std::optional<AllowedHost> ParseAuthority(std::string_view text, uint16_t default_port) {
  AllowedHost result;
  result.port = default_port;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    result.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port[0] != ':') return std::nullopt;
  } else {
    const size_t colon = text.find(':');
    result.host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
  }
  if (result.host.empty() || result.host.size() > 253) return std::nullopt;
  for (const char c : result.host) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || (text[0] == '[' && c == ':');
    if (!plain) return std::nullopt;
  }
  result.host = LowerCase(std::move(result.host));
  if (port.size() > 1) {
    port.remove_prefix(1);
    uint32_t number = 0;
    for (const char c : port) {
      if (c < '0' || c > '9' || port.size() > 5) return std::nullopt;
      number = number * 10 + static_cast<uint32_t>(c - '0');
    }
    if (number == 0 || number > 65535) return std::nullopt;
    result.port = static_cast<uint16_t>(number);
  }
  return result;
}

std::string Text(boost::beast::string_view text) { return {text.data(), text.size()}; }

// The head as the target should get it: origin form, its own host, one request a connection.
std::string RewriteHead(const http::request<http::empty_body>& request,
                        const std::string& authority, const std::string& path) {
  std::string head =
      Text(request.method_string()) + " " + path + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  for (const auto& field : request) {
    const std::string name = LowerCase(Text(field.name_string()));
    if (name == "host" || name == "connection" || name.starts_with("proxy-") ||
        name == "keep-alive" || name == "te" || name == "upgrade") {
      continue;
    }
    head += Text(field.name_string()) + ": " + Text(field.value()) + "\r\n";
  }
  return head + "Connection: close\r\n\r\n";
}

}  // namespace

struct ProxyRequestParser::Parser {
  http::request_parser<http::empty_body> http;
};

ProxyRequestParser::ProxyRequestParser() : parser_(std::make_unique<Parser>()) {
  parser_->http.header_limit(kHeadBytesMax);
}

ProxyRequestParser::~ProxyRequestParser() = default;

ProxyRequestParser::State ProxyRequestParser::Add(std::string_view bytes) {
  received_.append(bytes);
  boost::beast::error_code error;
  used_ += parser_->http.put(
      boost::asio::buffer(received_.data() + used_, received_.size() - used_), error);
  if (error == http::error::need_more) error = {};
  if (error || received_.size() > 2 * size_t{kHeadBytesMax}) return State::kBad;
  return parser_->http.is_header_done() ? Finish() : State::kMore;
}

ProxyRequestParser::State ProxyRequestParser::Finish() {
  const http::request<http::empty_body>& message = parser_->http.get();
  request_.rest = received_.substr(used_);
  const std::string target = Text(message.target());
  std::optional<AllowedHost> host;
  if (message.method() == http::verb::connect) {
    request_.is_tunnel = true;
    host = ParseAuthority(target, 443);
  } else if (LowerCase(target.substr(0, 7)) == "http://") {
    const size_t slash = target.find_first_of("/?", 7);
    const std::string authority = target.substr(7, slash == std::string::npos ? slash : slash - 7);
    std::string path = slash == std::string::npos ? "/" : target.substr(slash);
    if (path[0] == '?') path = "/" + path;
    host = ParseAuthority(authority, 80);
    request_.head = RewriteHead(message, authority, path);
  }
  if (!host.has_value()) return State::kBad;
  request_.target = *std::move(host);
  return State::kDone;
}

ProxyRequest ProxyRequestParser::Take() { return std::move(request_); }

Result<AllowedHost> HostOfUrl(const std::string& url) {
  const auto bad = [&] {
    // What stands before an @ may be a password.
    const size_t at = url.rfind('@');
    const std::string shown = at == std::string::npos ? url : "..." + url.substr(at);
    return Status(Code::kInvalidArgument, Boundary::kSandbox,
                  "not an http or https URL: '" + Printable(shown.substr(0, 300)) + "'");
  };
  const size_t colon = url.find("://");
  if (colon == std::string::npos) return bad();
  const std::string scheme = LowerCase(url.substr(0, colon));
  if (scheme != "http" && scheme != "https") return bad();
  const size_t begin = colon + 3;
  const size_t end = url.find_first_of("/?#", begin);
  std::string authority = url.substr(begin, end == std::string::npos ? end : end - begin);
  if (const size_t at = authority.rfind('@'); at != std::string::npos) authority.erase(0, at + 1);
  std::optional<AllowedHost> host = ParseAuthority(authority, scheme == "https" ? 443 : 80);
  if (!host.has_value()) return bad();
  return *std::move(host);
}

}  // namespace taskmint::sandbox
