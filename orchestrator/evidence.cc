#include "orchestrator/evidence.h"

#include <utility>

#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kLogBytesMax = 256 << 10;
constexpr size_t kReasonBytesMax = 500;

// The gate's log: every attempt's under a heading.
std::string JoinLogs(const verifier::AttemptLogs& logs) {
  std::string text;
  for (const auto& [name, log] : logs) {
    if (log.empty()) continue;
    text += "== " + name + " ==\n" + CutMiddle(log, kLogBytesMax / 8);
    if (text.back() != '\n') text += '\n';
  }
  return CutMiddle(text, kLogBytesMax);
}

}  // namespace

void Reject(v1::Candidate& candidate, const std::string& word, const std::string& detail) {
  candidate.set_state(v1::Candidate::STATE_REJECTED);
  candidate.set_reason(
      OneLine(CutMiddle(detail.empty() ? word : word + ": " + detail, kReasonBytesMax)));
}

void AddEvidence(v1::Candidate& candidate, v1::Evidence evidence) {
  if (!IsUtf8(evidence.detail())) evidence.set_detail(ToUtf8(evidence.detail()));
  for (v1::Evidence& row : *candidate.mutable_evidence()) {
    if (row.gate() == evidence.gate()) {
      row = std::move(evidence);
      return;
    }
  }
  *candidate.add_evidence() = std::move(evidence);
}

Result<StageOutcome> PassGates(datasets::BlobStore& blobs, v1::Candidate candidate,
                               const std::vector<verifier::GateResult>& gates,
                               const std::string& next, const std::stop_token& stop) {
  StageOutcome outcome;
  std::string unreached;
  for (const verifier::GateResult& gate : gates) {
    v1::Evidence evidence = gate.evidence;
    // Not reached, because a gate of the same runs rejects.
    if (evidence.outcome() == v1::Evidence::OUTCOME_UNSPECIFIED) {
      unreached = evidence.gate();
      continue;
    }
    const bool no_verdict = evidence.outcome() == v1::Evidence::OUTCOME_NO_VERDICT;
    if (no_verdict && stop.stop_requested()) {
      return Status(Code::kCancelled, Boundary::kVerifier, "stopped during " + evidence.gate());
    }
    std::string log = JoinLogs(gate.logs);
    if (no_verdict && log.empty()) log = evidence.detail() + "\n";
    if (!log.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(std::string digest, blobs.Put(log));
      outcome.log_digest = digest;
      evidence.set_log_digest(std::move(digest));
    }
    if (no_verdict) {
      outcome.failure = Status(Code::kUnavailable, Boundary::kSandbox,
                               evidence.gate() + ": " + evidence.detail());
      AddEvidence(candidate, std::move(evidence));
      outcome.candidate = std::move(candidate);
      return outcome;
    }
    const std::string reason = verifier::RejectionReason(evidence);
    AddEvidence(candidate, std::move(evidence));
    if (!reason.empty()) {
      Reject(candidate, reason, "");
      outcome.candidate = std::move(candidate);
      return outcome;
    }
  }
  if (!unreached.empty()) {
    return Status(Code::kInternal, Boundary::kVerifier,
                  "gate " + unreached + " was not reached though nothing was rejected");
  }
  outcome.candidate = std::move(candidate);
  outcome.next = next;
  return outcome;
}

}  // namespace taskmint::orchestrator
