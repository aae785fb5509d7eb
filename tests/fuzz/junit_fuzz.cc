// ParseJUnit over any bytes: no crash, no limit exceeded, valid UTF-8 out, the same answer twice.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proto/base/utf8.h"
#include "verifier/junit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using taskmint::IsUtf8;
  const std::string_view xml(reinterpret_cast<const char*>(data), size);
  taskmint::verifier::JUnitLimits limits;
  limits.cases_max = 100;
  limits.depth_max = 16;
  const auto report = taskmint::verifier::ParseJUnit(xml, limits);
  const auto again = taskmint::verifier::ParseJUnit(xml, limits);
  if (report.ok() != again.ok()) std::abort();
  if (!report.ok()) return 0;
  if (report->cases.size() > limits.cases_max) std::abort();
  for (const auto& test : report->cases) {
    if (!IsUtf8(test.file) || !IsUtf8(test.class_name) || !IsUtf8(test.name)) std::abort();
    if (!IsUtf8(test.message) || test.message.size() > 500) std::abort();
    if (test.status == taskmint::v1::TEST_STATUS_UNSPECIFIED) std::abort();
  }
  return 0;
}
