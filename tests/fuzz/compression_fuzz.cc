#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "datasets/compression.h"
#include "proto/base/check.h"

// A damaged blob is an error, never more memory than the bound; what was packed comes back.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint;
  constexpr uint64_t kBytesMax = 1 << 20;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const Result<std::string> plain = datasets::Decompress(bytes, kBytesMax); plain.ok()) {
    TASKMINT_CHECK(plain->size() <= kBytesMax);
  }
  const Result<std::string> back = datasets::Decompress(datasets::Compress(bytes), size);
  TASKMINT_CHECK(back.ok() && *back == bytes);
  return 0;
}
