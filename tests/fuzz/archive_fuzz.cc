// Archives are imported from anybody.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "datasets/archive.h"
#include "proto/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace datasets = taskmint::datasets;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  datasets::ArchiveLimits limits;
  limits.entries_max = 1'000;
  limits.bytes_max = 16 << 20;
  limits.file_bytes_max = 8 << 20;
  const auto tree = datasets::ReadArchive(bytes, "x.tar.gz", limits);
  if (!tree.ok()) {
    TASKMINT_CHECK(tree.status().code() == taskmint::Code::kInvalidArgument);
    return 0;
  }
  // What was read can be written, and is the same again.
  const auto again = datasets::ReadArchive(datasets::WriteArchive(*tree).value(), "again");
  TASKMINT_CHECK(tree->empty() || (again.ok() && *again == *tree));
  return 0;
}
