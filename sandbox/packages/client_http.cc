#include "sandbox/packages/client_http.h"

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

namespace http = boost::beast::http;

constexpr uint32_t kRequestHeadBytesMax = 65536;

// Digits alone; nothing for others and for what no file has.
std::optional<int64_t> ParseOffset(std::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

}  // namespace

Result<ClientRequest> ReadClientRequest(PolledStream& stream) {
  boost::beast::flat_buffer buffer(2 * size_t{kRequestHeadBytesMax});
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kRequestHeadBytesMax);
  boost::beast::error_code error;
  http::read_header(stream, buffer, parser, error);
  if (error == http::error::end_of_stream || error == boost::asio::error::timed_out) {
    return Error(Code::kCancelled, "nobody asks");
  }
  if (error) return Error(Code::kInvalidArgument, "this takes HTTP/1.1 requests for packages");
  const auto& message = parser.get();
  const auto field = [&](http::field name) {
    const boost::beast::string_view text = message[name];
    return std::string(text.data(), text.size());
  };
  ClientRequest request;
  if (message.method() == http::verb::get) request.method = "GET";
  if (message.method() == http::verb::head) request.method = "HEAD";
  if (request.method.empty()) return Error(Code::kUnimplemented, "this takes GET and HEAD alone");
  request.target.assign(message.target().data(), message.target().size());
  request.accept = field(http::field::accept);
  request.range = field(http::field::range);
  request.if_range = field(http::field::if_range);
  request.if_none_match = field(http::field::if_none_match);
  return request;
}

std::optional<ByteRange> ParseByteRange(std::string_view header, int64_t bytes) {
  constexpr std::string_view kUnit = "bytes=";
  if (LowerCase(std::string(header.substr(0, kUnit.size()))) != kUnit) return std::nullopt;
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = header.substr(0, dash), last = header.substr(dash + 1);
  const auto begin = ParseOffset(first), end = ParseOffset(last);
  if (first.empty()) {  // the last so many
    if (!end.has_value()) return std::nullopt;
    return ByteRange{bytes - std::min(*end, bytes), bytes};
  }
  if (!begin.has_value() || (!last.empty() && (!end.has_value() || *end < *begin))) {
    return std::nullopt;
  }
  if (*begin >= bytes) return ByteRange{bytes, bytes};
  return ByteRange{*begin, last.empty() ? bytes : std::min(*end + 1, bytes)};
}

bool NamesEtag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    const size_t comma = std::min(if_none_match.find(','), if_none_match.size());
    std::string_view one = if_none_match.substr(0, comma);
    if_none_match.remove_prefix(std::min(comma + 1, if_none_match.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == etag) return true;
  }
  return false;
}

bool SendHead(PolledStream& stream, const ClientHead& head) {
  http::response<http::empty_body> message;
  message.version(11);
  message.result(static_cast<unsigned>(head.status));
  const auto set = [&](http::field name, const std::string& value) {
    if (!value.empty()) message.set(name, value);
  };
  set(http::field::content_type, head.content_type);
  set(http::field::content_encoding, head.content_encoding);
  set(http::field::etag, head.etag);
  set(http::field::content_range, head.content_range);
  if (head.takes_ranges) message.set(http::field::accept_ranges, "bytes");
  if (head.content_bytes >= 0) {
    message.set(http::field::content_length, std::to_string(head.content_bytes));
  }
  message.set(http::field::connection, "close");
  http::response_serializer<http::empty_body> serializer(message);
  boost::beast::error_code error;
  http::write_header(stream, serializer, error);
  return !error;
}

bool SendBytes(PolledStream& stream, std::string_view bytes) {
  boost::system::error_code error;
  boost::asio::write(stream, boost::asio::buffer(bytes.data(), bytes.size()), error);
  return !error;
}

bool SendText(PolledStream& stream, int status, const std::string& line, bool head_only) {
  const std::string body = "taskmint: " + Printable(line) + "\n";
  ClientHead head;
  head.status = status;
  head.content_type = "text/plain; charset=utf-8";
  head.content_bytes = static_cast<int64_t>(body.size());
  return SendHead(stream, head) && (head_only || SendBytes(stream, body));
}

}  // namespace taskmint::sandbox
