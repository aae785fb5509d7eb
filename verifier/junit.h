// JUnit XML as test runners really write it: hostile, truncated, miscounted.
#ifndef TASKMINT_VERIFIER_JUNIT_H_
#define TASKMINT_VERIFIER_JUNIT_H_

#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"
#include "proto/verdict.pb.h"

namespace taskmint::verifier {

// One <testcase>.
struct JUnitCase {
  // Attributes, valid UTF-8; empty when absent.
  std::string file;
  std::string class_name;
  std::string name;
  v1::TestStatus status = v1::TEST_STATUS_UNSPECIFIED;
  // First line of the failure's message, at most 500 bytes.
  std::string message;
};

struct JUnitReport {
  // In document order; duplicates stay.
  std::vector<JUnitCase> cases;
};

// Limits of a report.
struct JUnitLimits {
  size_t bytes_max = 64 << 20;
  size_t cases_max = 1'000'000;
  int depth_max = 64;
};

// Of two outcomes of a case the one with the higher number counts: error, failed, skipped, passed.
int Severity(v1::TestStatus status);

// Parses with expat: byte-order marks, control characters and malformed UTF-8 are mended first;
// counters are ignored (cases count); entities and external references are refused; a case with
// several outcomes takes the worst (error, failed, skipped, passed). Errors (verifier):
// INVALID_ARGUMENT for what is no complete JUnit document (truncated, empty, a DTD),
// RESOURCE_EXHAUSTED beyond a limit. Linear time.
Result<JUnitReport> ParseJUnit(std::string_view xml, const JUnitLimits& limits = {});

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_JUNIT_H_
