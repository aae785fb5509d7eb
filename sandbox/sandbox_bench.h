// What a sandbox costs on this machine, measured beside other ways in the same run.
#ifndef TASKMINT_SANDBOX_SANDBOX_BENCH_H_
#define TASKMINT_SANDBOX_SANDBOX_BENCH_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/bench_workloads.h"
#include "sandbox/idle_memory.h"

namespace taskmint::sandbox {

// How much is measured. A part with 0 is left out.
struct BenchPlan {
  // Of starts: each row once a round, in an order that turns, so that a busy moment meets all.
  int64_t start_rounds = 200;
  // On all cores, for each of the two that are compared, in slices that take turns.
  int64_t sustained_ms = 5'000;
  // Sandboxes open at once.
  int64_t open_at_once = 300;
  // Runs of each workload with the walls and without.
  int64_t workload_rounds = 20;
};

// The rows of BenchReport::starts that are the sandbox's own.
inline constexpr char kOpenRow[] = "sandbox: open + first exec";
inline constexpr char kCloseRow[] = "sandbox: close";
inline constexpr char kExecRow[] = "sandbox: exec in a live one";

// From start to exit of `true` one way.
struct StartRow {
  std::string name;
  // Why nothing was measured; the numbers are 0 then.
  std::string missing;
  int64_t samples = 0;
  double median_ms = 0;
  double p99_ms = 0;
  // Median over the rounds of this row's time by bare bubblewrap's in the same round; 0 where there
  // is no bubblewrap to compare with.
  double by_bubblewrap = 0;
};

// Opened, used for `true` and closed again and again by as many threads as there are cores.
struct SustainedRow {
  std::string name;
  std::string missing;
  int64_t threads = 0;
  int64_t runs = 0;
  double seconds = 0;  // of all its slices
  double runs_per_second = 0;
};

// What else the machine did meanwhile.
struct MachineLoad {
  int64_t cores = 0;
  double load_before = 0;  // the kernel's mean over a minute
  double load_after = 0;
  // Of the processor time of the measurement, what processes that are not ours had, in percent.
  double others_percent = 0;
};

struct BenchReport {
  MachineLoad load;
  std::vector<StartRow> starts;
  std::vector<SustainedRow> sustained;
  IdleMemory idle;
  std::vector<WorkloadCost> workloads;
};

// Called with the part and how far it is, from the thread of MeasureSandbox.
using BenchProgress = std::function<void(const std::string& part, int64_t done, int64_t total)>;

// Measures. It loads the machine, and takes about a minute with the default plan on a quiet one.
// UNAVAILABLE (sandbox) where no sandbox can be opened, CANCELLED by the token; a rival or a
// workload that this machine lacks is said in its row. One at a time in a process.
Result<BenchReport> MeasureSandbox(const BenchPlan& plan, const BenchProgress& progress,
                                   std::stop_token stop);

// The middle, and the least that 99 in 100 do not exceed, of at least one number; sorts them.
double MedianOf(std::vector<double>& numbers);
double Percentile99Of(std::vector<double>& numbers);

// Where the median of what they were drawn from lies, with about 95 in 100 certainty, by their
// order alone (normal approximation of the binomial ranks); of fewer than six, the least and the
// greatest, which are less certain.
struct MedianInterval {
  double low = 0;
  double high = 0;
};
MedianInterval MedianIntervalOf(std::vector<double>& numbers);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_SANDBOX_BENCH_H_
