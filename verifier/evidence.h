// Writes one gate's evidence row while the gate runs.
#ifndef TASKMINT_VERIFIER_EVIDENCE_H_
#define TASKMINT_VERIFIER_EVIDENCE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/clock.h"
#include "verifier/gate.h"

namespace taskmint::verifier {

// Not thread-safe.
class EvidenceWriter {
 public:
  explicit EvidenceWriter(std::string_view gate);

  // Adds a run; its tests are left out of the row.
  void AddAttempt(const std::string& name, v1::Verdict verdict, std::string log);
  // Adds to a value, which starts at 0.
  void Count(const std::string& name, double by = 1);

  // Closes the row. `detail` is made printable and cut at 2,000 bytes.
  GateResult Finish(v1::Evidence::Outcome outcome, std::string_view detail);
  GateResult Pass(std::string_view detail) { return Finish(v1::Evidence::OUTCOME_PASSED, detail); }
  GateResult Reject(std::string_view detail) {
    return Finish(v1::Evidence::OUTCOME_REJECTED, detail);
  }
  GateResult NoVerdict(std::string_view detail) {
    return Finish(v1::Evidence::OUTCOME_NO_VERDICT, detail);
  }

 private:
  SystemClock clock_;
  int64_t started_ms_;
  GateResult result_;
};

// "a, b, c and 4 more".
std::string NameSome(const std::vector<std::string>& names);
// "1 test", "2 tests".
std::string CountOf(size_t count, std::string_view noun);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_EVIDENCE_H_
