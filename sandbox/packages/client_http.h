// HTTP as it is spoken with the inside: requests read, answers written.
#ifndef TASKMINT_SANDBOX_PACKAGES_CLIENT_HTTP_H_
#define TASKMINT_SANDBOX_PACKAGES_CLIENT_HTTP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/status.h"
#include "sandbox/packages/polled_stream.h"

namespace taskmint::sandbox {

struct ClientRequest {
  std::string method;  // "GET" or "HEAD"
  std::string target;
  // Header fields, empty where there are none.
  std::string accept, range, if_range, if_none_match;

  bool is_head() const { return method == "HEAD"; }
};

// INVALID_ARGUMENT (sandbox) for what is no HTTP/1 or has too long a head, UNIMPLEMENTED for other
// methods, CANCELLED when nobody asks any more.
Result<ClientRequest> ReadClientRequest(PolledStream& stream);

// Bytes of a body, from and behind the last.
struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;
};
// The one range that a Range header asks of `bytes` bytes (RFC 9110, 14): nothing for several, and
// for what is malformed, which ask for the whole. Empty (begin == end) where it cannot be had.
std::optional<ByteRange> ParseByteRange(std::string_view header, int64_t bytes);

// True where If-None-Match names `etag` (with its quotes) or "*".
bool NamesEtag(std::string_view if_none_match, std::string_view etag);

// The head of an answer; the connection closes behind it.
struct ClientHead {
  int status = 200;
  int64_t content_bytes = 0;
  std::string content_type, content_encoding, etag, content_range;
  bool takes_ranges = false;
};
// False when the client is gone, as below.
bool SendHead(PolledStream& stream, const ClientHead& head);
bool SendBytes(PolledStream& stream, std::string_view bytes);
// A whole answer of one line of text.
bool SendText(PolledStream& stream, int status, const std::string& line, bool head_only);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_CLIENT_HTTP_H_
