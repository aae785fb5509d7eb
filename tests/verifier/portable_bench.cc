#include "tests/verifier/portable_bench.h"

#include <nlohmann/json.hpp>

#include "proto/base/json.h"

namespace taskmint::verifier {

void ReadPortableRun(const std::string& reward_json, const std::string& report_json,
                     PortableRun& run) {
  if (const auto reward = ParseJson(reward_json); reward.ok() && reward->is_object()) {
    run.reward = reward->value("reward", -1.0);
    run.f2p_rate = reward->value("f2p_rate", -1.0);
    run.p2p_rate = reward->value("p2p_rate", -1.0);
    run.forged = reward->value("forged", -1.0);
  }
  if (const auto report = ParseJson(report_json); report.ok() && report->is_object()) {
    run.verdict = StringOr(*report, "verdict", "none");
    run.reason = StringOr(*report, "reason", "") + run.reason;
    run.doctored = IntOr(*report, "doctored", -1);
    run.runs = IntOr(*report, "runs", -1);
    run.tests = report->value("tests", run.tests);
  }
}

}  // namespace taskmint::verifier
