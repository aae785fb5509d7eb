#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/base/check.h"
#include "sandbox/packages/client_http.h"
#include "sandbox/packages/recorded_answer.h"

// Any bytes as an answer's file: what is believed can be written down again, and carries no header
// of its own. And as a Range header: what is given lies within the body.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint::sandbox;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const int64_t length : {int64_t{0}, int64_t{100}}) {
    const auto range = ParseByteRange(bytes, length);
    TASKMINT_CHECK(!range.has_value() ||
                   (range->begin >= 0 && range->begin <= range->end && range->end <= length));
  }
  static_cast<void>(NamesEtag(bytes, "\"etag\""));
  const auto answer = ReadRecordedAnswer(bytes);
  if (!answer.ok()) return 0;
  TASKMINT_CHECK(answer->content_type.find_first_of("\r\n") == std::string::npos);
  const auto again = ReadRecordedAnswer(WriteRecordedAnswer(*answer));
  TASKMINT_CHECK(again.ok() && *again == *answer);
  return 0;
}
