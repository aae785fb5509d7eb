#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "proto/base/check.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

// Text from outside: made safe for records, terminals and JSON, whatever it is.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string text = ToUtf8(bytes);
  TASKMINT_CHECK(IsUtf8(text));
  TASKMINT_CHECK(!IsUtf8(bytes) || text == bytes);
  for (const char c : Printable(bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    TASKMINT_CHECK((byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\t');
  }
  TASKMINT_CHECK(IsUtf8(CutMiddle(text, 40)));
  const std::string masked = MaskObservation(text);
  TASKMINT_CHECK(MaskObservation(masked) == masked);
  if (const Result<nlohmann::json> json = ParseJson(bytes); json.ok()) {
    const Result<nlohmann::json> again = ParseJson(DumpJson(*json));
    TASKMINT_CHECK(again.ok());
    TASKMINT_CHECK(DumpJson(*again) == DumpJson(*json));
  }
  return 0;
}
