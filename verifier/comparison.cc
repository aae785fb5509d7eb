#include "verifier/comparison.h"

#include <algorithm>
#include <set>

namespace taskmint::verifier {
namespace {

v1::TestStatus StatusOf(const Tests& tests, const std::string& id) {
  const auto found = tests.find(id);
  return found == tests.end() ? v1::TEST_STATUS_MISSING : found->second;
}

bool IsFailure(v1::TestStatus status) {
  return status == v1::TEST_STATUS_FAILED || status == v1::TEST_STATUS_ERROR;
}

// A collection error is reported under the file's own id, the end of a program ("name" of
// "name/case") under the program's.
bool FileFails(const Tests& tests, const std::string& id) {
  return IsFailure(StatusOf(tests, std::string(FileOfTest(id)))) ||
         IsFailure(StatusOf(tests, id.substr(0, id.find('/'))));
}

std::vector<std::string>* Place(const std::string& id, v1::TestStatus before,
                                const std::vector<const Tests*>& after, Comparison& comparison) {
  size_t passed = 0;
  size_t failed = 0;
  size_t reported = 0;
  for (const Tests* tests : after) {
    const v1::TestStatus status = StatusOf(*tests, id);
    passed += status == v1::TEST_STATUS_PASSED ? 1 : 0;
    reported += status != v1::TEST_STATUS_MISSING ? 1 : 0;
    failed += IsFailure(status) || (status == v1::TEST_STATUS_MISSING && FileFails(*tests, id));
  }
  if (before == v1::TEST_STATUS_PASSED && passed == 0 && failed > 0) {
    return &comparison.pass_to_fail;
  }
  if (reported == 0) return nullptr;
  if (passed == 0 || before == v1::TEST_STATUS_SKIPPED) return &comparison.unjudged;
  if (passed < after.size()) {
    return before == v1::TEST_STATUS_FAILED ? &comparison.flaky_fail_to_pass : &comparison.flaky;
  }
  if (before == v1::TEST_STATUS_PASSED) return &comparison.pass_to_pass;
  return before == v1::TEST_STATUS_FAILED ? &comparison.fail_to_pass : &comparison.error_to_pass;
}

}  // namespace

std::string_view FileOfTest(std::string_view id) { return id.substr(0, id.find("::")); }

Comparison Compare(const Tests& before, const std::vector<const Tests*>& after) {
  std::set<std::string> ids;
  for (const auto& [id, status] : before) ids.insert(id);
  for (const Tests* tests : after) {
    for (const auto& [id, status] : *tests) ids.insert(id);
  }
  Comparison comparison;
  for (const std::string& id : ids) {
    std::vector<std::string>* place = Place(id, StatusOf(before, id), after, comparison);
    if (place != nullptr) place->push_back(id);
  }
  return comparison;
}

std::string Tally(const Tests& tests) {
  std::map<v1::TestStatus, int> counts;
  for (const auto& [id, status] : tests) ++counts[status];
  return std::to_string(counts[v1::TEST_STATUS_PASSED]) + " passed, " +
         std::to_string(counts[v1::TEST_STATUS_FAILED]) + " failed, " +
         std::to_string(counts[v1::TEST_STATUS_ERROR]) + " in error, " +
         std::to_string(counts[v1::TEST_STATUS_SKIPPED]) + " skipped";
}

}  // namespace taskmint::verifier
