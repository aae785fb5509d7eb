// One answer of a recording, as it is written down. No I/O here: the bytes are fuzzed.
#ifndef TASKMINT_SANDBOX_PACKAGES_RECORDED_ANSWER_H_
#define TASKMINT_SANDBOX_PACKAGES_RECORDED_ANSWER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint::sandbox {

// What was answered to a method and a URL.
struct RecordedAnswer {
  std::string method;  // "GET" or "HEAD"
  std::string url;     // PackageUrl::Text()
  // Where redirects led; `url` without one. What links on a page are relative to.
  std::string final_url;
  int status = 0;
  std::string content_type;
  // Empty for none, which is what is asked for.
  std::string content_encoding;
  // Of the body, which is kept by its SHA-256. Without a body (HEAD, and every status but 200) the
  // digest is empty and `bytes` what the length was said to be, or -1.
  std::string digest;
  int64_t bytes = -1;

  bool has_body() const { return !digest.empty(); }
  friend bool operator==(const RecordedAnswer&, const RecordedAnswer&) = default;
};

// One JSON object and a newline.
std::string WriteRecordedAnswer(const RecordedAnswer& answer);

// DATA_LOSS (sandbox) for what WriteRecordedAnswer does not write: other types, a digest that is
// none, a status that is none, control characters in what would become a header.
Result<RecordedAnswer> ReadRecordedAnswer(std::string_view bytes);

// True for text that may stand in a header field: printable ASCII.
bool IsHeaderText(std::string_view text);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_RECORDED_ANSWER_H_
