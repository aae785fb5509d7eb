// What the walls cost a program that runs behind them.
#ifndef TASKMINT_SANDBOX_BENCH_WORKLOADS_H_
#define TASKMINT_SANDBOX_BENCH_WORKLOADS_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::sandbox {

struct WorkloadCost {
  std::string name;     // "compile", "tests"
  std::string program;  // what was run: "c++", "pytest", "unittest"
  // Why nothing was measured; the numbers are 0 then.
  std::string missing;
  int64_t rounds = 0;
  double with_median_ms = 0;
  double without_median_ms = 0;
  // Median over the rounds of the time with walls by that without in the same round, less one, in
  // percent, and the interval in which that median lies (MedianIntervalOf). One that holds 0 says
  // that no cost was seen, and one that is wide, that the machine was too busy to see it.
  double cost_percent = 0;
  double cost_low_percent = 0;
  double cost_high_percent = 0;
};

// Runs a compilation and a suite of tests in two open sandboxes, in turns. One is as every sandbox
// is. The other has the same namespaces and mounts, but no filter of system calls
// (Walls::system_call_filter) and limits that are never met: what differs is the filter and the
// limits alone. The suite is pytest's where the host's Python has it, else unittest's.
// `done` is told the number of rounds after each. Errors as SandboxHost::Open, CANCELLED.
Result<std::vector<WorkloadCost>> MeasureWorkloads(int64_t rounds,
                                                   const std::function<void(int64_t)>& done,
                                                   const std::stop_token& stop);
// How many rounds MeasureWorkloads tells of.
int64_t WorkloadRounds(int64_t rounds);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_BENCH_WORKLOADS_H_
