// A process that works on a store's ledger until nothing is left: ledger_worker STORE RUN NAME.
// Prints a line for each job that it completed. Called "create", it makes the store where needed.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "datasets/store.h"
#include "tests/datasets/sample_run.h"

namespace taskmint::datasets {
namespace {

int Work(const std::string& folder, const std::string& run_id, const std::string& name) {
  const SystemClock clock;
  const OpenMode mode = name == "create" ? OpenMode::kCreate : OpenMode::kReadWrite;
  Result<std::unique_ptr<Store>> store = Store::Open(folder, mode, clock);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return 1;
  }
  Ledger& ledger = (*store)->ledger();
  for (;;) {
    const Result<std::optional<ClaimedJob>> claimed = ledger.Claim(run_id, name, 300, 1 << 30);
    if (!claimed.ok()) {
      std::fprintf(stderr, "%s\n", claimed.status().ToString().c_str());
      return 1;
    }
    if (!claimed->has_value()) {
      const Result<int64_t> open = ledger.OpenJobs(run_id, 1 << 30);
      if (open.ok() && *open == 0) return 0;
      usleep(2'000);
      continue;
    }
    const ClaimedJob& job = **claimed;
    const Status status = ledger.Complete(job, SampleCommit(job));
    // Another worker has it: its lease ran out while this process was not scheduled.
    if (status.code() == Code::kAborted) continue;
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return 1;
    }
    std::printf("%lld %s\n", static_cast<long long>(job.job.position), job.job.stage.c_str());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace taskmint::datasets

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return taskmint::datasets::Work(argv[1], argv[2], argv[3]);
}
