// task.toml and dataset.toml are imported from anybody.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "datasets/toml_text.h"
#include "proto/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace datasets = taskmint::datasets;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto document = datasets::ReadToml(bytes, "task.toml");
  if (!document.ok()) {
    TASKMINT_CHECK(document.status().code() == taskmint::Code::kInvalidArgument);
    return 0;
  }
  // What was read can be written.
  (void)datasets::WriteToml(*document);
  return 0;
}
