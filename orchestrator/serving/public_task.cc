#include "orchestrator/serving/public_task.h"

#include <algorithm>
#include <string>

namespace taskmint::orchestrator {
namespace {

std::string ReasonWithoutNames(const v1::Verdict& verdict) {
  switch (verdict.state()) {
    case v1::Verdict::STATE_NO_VERDICT:
      return verdict.reason();  // of the machine, not of the tests
    case v1::Verdict::STATE_PASS:
      return "all tests passed";
    case v1::Verdict::STATE_FORGED:
      return "the run's report cannot be trusted";
    default:
      break;
  }
  if (verdict.tests().empty()) return "the final state did not pass";
  const auto passed = std::count_if(
      verdict.tests().begin(), verdict.tests().end(),
      [](const v1::TestResult& test) { return test.status() == v1::TEST_STATUS_PASSED; });
  return std::to_string(verdict.tests_size() - passed) + " of " +
         std::to_string(verdict.tests_size()) + " tests did not pass";
}

}  // namespace

v1::Task PublicTask(const v1::Task& task) {
  v1::Task shown = task;
  shown.clear_solution();
  shown.clear_verifier();
  v1::Provenance& provenance = *shown.mutable_provenance();
  provenance.clear_commit();
  provenance.clear_commit_time_s();
  provenance.clear_issue_numbers();
  shown.mutable_prompt()->clear_number();
  return shown;
}

v1::Verdict PublicVerdict(const v1::Verdict& verdict) {
  v1::Verdict shown = verdict;
  shown.set_reason(ReasonWithoutNames(verdict));
  shown.clear_tests();
  for (v1::CandidateVerdict& candidate : *shown.mutable_candidates()) {
    *candidate.mutable_verdict() = PublicVerdict(candidate.verdict());
  }
  return shown;
}

}  // namespace taskmint::orchestrator
