// What a fix changes: the same tests observed before and after it.
#ifndef TASKMINT_VERIFIER_COMPARISON_H_
#define TASKMINT_VERIFIER_COMPARISON_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/verdict.pb.h"

namespace taskmint::verifier {

using Tests = std::map<std::string, v1::TestStatus>;

// Test ids by what happens to them, each sorted; an id is in one list at most.
struct Comparison {
  std::vector<std::string> fail_to_pass;   // failed before, passes in all runs after
  std::vector<std::string> error_to_pass;  // missing or in error before, passes in all runs after
  std::vector<std::string> pass_to_pass;   // passed before, passes in all runs after
  // Passed before and passes in no run after: failed or in error, or gone with its file, which can
  // no longer be collected, or with its program, which ended before its report.
  std::vector<std::string> pass_to_fail;
  std::vector<std::string> flaky_fail_to_pass;  // failed before, passes in some runs after
  std::vector<std::string> flaky;               // anything else that passes in some runs after
  // Reported after, and in no other list: skipped, expected to fail, failing before and after.
  std::vector<std::string> unjudged;
};

// Compares one run before with one or more after.
Comparison Compare(const Tests& before, const std::vector<const Tests*>& after);

// "tests/test_a.py" of "tests/test_a.py::TestA::test_b"; the id where it names no file.
std::string_view FileOfTest(std::string_view id);

// "120 passed, 3 failed, 1 in error, 2 skipped".
std::string Tally(const Tests& tests);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_COMPARISON_H_
