#include "verifier/evidence.h"

#include <algorithm>
#include <utility>

#include "proto/base/utf8.h"

namespace taskmint::verifier {

EvidenceWriter::EvidenceWriter(std::string_view gate) : started_ms_(clock_.MonotonicMs()) {
  result_.evidence.set_gate(std::string(gate));
  result_.evidence.set_started_ms(clock_.NowMs());
}

void EvidenceWriter::AddAttempt(const std::string& name, v1::Verdict verdict, std::string log) {
  result_.evidence.set_cpu_ms(result_.evidence.cpu_ms() + verdict.cpu_ms());
  verdict.clear_tests();
  auto* attempt = result_.evidence.add_attempts();
  attempt->set_name(Printable(name));
  *attempt->mutable_verdict() = std::move(verdict);
  if (!log.empty()) result_.logs.insert_or_assign(attempt->name(), std::move(log));
}

void EvidenceWriter::Count(const std::string& name, double by) {
  (*result_.evidence.mutable_values())[name] += by;
}

GateResult EvidenceWriter::Finish(v1::Evidence::Outcome outcome, std::string_view detail) {
  result_.evidence.set_outcome(outcome);
  result_.evidence.set_detail(CutMiddle(Printable(detail), 2000));
  result_.evidence.set_wall_ms(clock_.MonotonicMs() - started_ms_);
  return std::move(result_);
}

std::string NameSome(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) {
    text += (i == 0 ? "" : ", ") + CutMiddle(names[i], 200);
  }
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

std::string CountOf(size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string RejectionReason(const v1::Evidence& evidence) {
  std::string word;
  if (evidence.outcome() == v1::Evidence::OUTCOME_NO_VERDICT) {
    word = "no-verdict";
  } else if (evidence.outcome() == v1::Evidence::OUTCOME_REJECTED) {
    word = evidence.gate() == "repeat" ? "flaky" : evidence.gate();
  } else {
    return "";
  }
  std::string detail = CutMiddle(evidence.detail(), 600);
  std::replace(detail.begin(), detail.end(), '\n', ' ');
  return detail.empty() ? word : word + ": " + detail;
}

}  // namespace taskmint::verifier
