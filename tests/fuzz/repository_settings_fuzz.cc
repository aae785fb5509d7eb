// taskmint.toml comes from repositories that nobody vouches for.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "datasets/repository_settings.h"
#include "proto/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto settings = taskmint::datasets::ParseRepositorySettings(bytes, "taskmint.toml");
  if (!settings.ok()) {
    TASKMINT_CHECK(settings.status().code() == taskmint::Code::kInvalidArgument);
    return 0;
  }
  // What was read can be stored: protobuf refuses strings that are not UTF-8 when it parses them.
  taskmint::v1::RepositorySettings again;
  TASKMINT_CHECK(again.ParseFromString(settings->SerializeAsString()));
  return 0;
}
