#include "orchestrator/serving/public_task.h"

#include <algorithm>
#include <string>

namespace taskmint::orchestrator {
namespace {

std::string ReasonWithoutNames(const v1::Verdict& verdict) {
  switch (verdict.state()) {
    case v1::Verdict::STATE_NO_VERDICT:
      // Why may name hidden tests (where the fix itself did not pass) and paths of the server.
      return "the server could not grade it, which is no score: try again; if it stays so, "
             "`taskmint "
             "replay` on the server's store tells why";
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
  v1::Task shown;
  shown.set_id(task.id());
  shown.set_category(task.category());
  shown.set_language(task.language());
  shown.mutable_prompt()->set_text(task.prompt().text());
  shown.mutable_prompt()->set_source(task.prompt().source());
  *shown.mutable_environment() = task.environment();
  if (shown.environment().has_repository()) {
    // As good as the parent's SHA where the history is public.
    shown.mutable_environment()->mutable_repository()->clear_tree_digest();
  }
  *shown.mutable_tools() = task.tools();
  shown.mutable_provenance()->set_source(task.provenance().source());
  shown.mutable_provenance()->set_pipeline(task.provenance().pipeline());
  shown.mutable_licence()->set_spdx_id(task.licence().spdx_id());
  shown.mutable_licence()->set_path(task.licence().path());
  return shown;
}

v1::Verdict PublicVerdict(const v1::Verdict& verdict) {
  v1::Verdict shown;
  shown.set_state(verdict.state());
  shown.set_score(verdict.score());
  shown.set_reason(ReasonWithoutNames(verdict));
  *shown.mutable_components() = verdict.components();
  for (const v1::CandidateVerdict& candidate : verdict.candidates()) {
    v1::CandidateVerdict& one = *shown.add_candidates();
    one.set_answerer(candidate.answerer());
    *one.mutable_verdict() = PublicVerdict(candidate.verdict());
  }
  shown.set_digest(verdict.digest());
  shown.set_wall_ms(verdict.wall_ms());
  shown.set_cpu_ms(verdict.cpu_ms());
  return shown;
}

}  // namespace taskmint::orchestrator
