// The gate: what every code task must survive. Each function gives the evidence of its gates; the
// orchestrator stores it and goes on only while nothing is rejected.
#ifndef TASKMINT_VERIFIER_GATE_H_
#define TASKMINT_VERIFIER_GATE_H_

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "environments/repository/candidate.h"
#include "proto/base/file_tree.h"
#include "proto/evidence.pb.h"
#include "proto/task.pb.h"
#include "verifier/grading.h"

namespace taskmint::verifier {

// Logs of the attempts in an evidence, by attempt name; the caller stores them and fills in
// Attempt.log_digest.
using AttemptLogs = std::map<std::string, std::string>;

struct GateResult {
  v1::Evidence evidence;
  AttemptLogs logs;
};

struct GateSettings {
  // Share of mutants that must score 0 (architecture: code 0.5).
  double mutation_score_min = 0.5;
  // Fewer mutants than this: unmeasured.
  int64_t mutants_min = 3;
  int64_t mutants_max = 12;
  uint64_t seed = 0;
  // Run the whole suite instead of the graded files (--grade-scope full).
  bool grade_full_suite = false;
  int64_t test_wall_ms_max = 600'000;
};

// Schema, limits, secrets, host paths, licence and provenance of what is known before anything
// runs. Rejects with what is wrong.
GateResult LintGate(const environments::Proposal& proposal);

// Runs the tests before and after the fix: graded files once before, and three times after (one
// shuffled), then the whole suite before and after. Fills the verifier record.
struct OracleResult {
  GateResult oracle;  // F2P > 0, P2F = 0; rejects as "oracle" or "flaky", or no-verdict
  GateResult null;    // doing nothing scores 0
  GateResult repeat;  // the three runs agree; flaky pass-to-pass tests are dropped and named
  v1::TestVerifier expected;  // complete when all three passed (but for the digests of trees)
};
OracleResult OracleGates(const GradingBench& bench, const environments::Proposal& proposal,
                         const GateSettings& settings, std::stop_token stop);

// Every cheater of the driver scores 0.
GateResult CheatersGate(const GradingBench& bench, const v1::TestVerifier& expected,
                        const environments::Proposal& proposal, const GateSettings& settings,
                        std::stop_token stop);

// The mutation score; `values`: mutants, killed, mutation_score.
GateResult MutationGate(const GradingBench& bench, const v1::TestVerifier& expected,
                        const environments::Proposal& proposal, const GateSettings& settings,
                        std::stop_token stop);

// The answer is not within the agent's sight: prompt, parent tree, layers, the base's visible
// folders, git objects.
GateResult LeakGate(const GradingBench& bench, const environments::Proposal& proposal,
                    const std::vector<std::pair<std::string, FileTree>>& layers,
                    std::stop_token stop);

// "oracle: 2 tests pass before and fail after": the reason of `list --json` for a rejecting
// evidence (the gate's word, or flaky / no-verdict); empty when it rejects nothing.
std::string RejectionReason(const v1::Evidence& evidence);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_GATE_H_
