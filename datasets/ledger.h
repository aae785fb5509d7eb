// The job ledger: who works on which stage of which candidate. SQLite now, PostgreSQL later; one
// contract test (tests/datasets/ledger_contract_test.cc) for all.
#ifndef TASKMINT_DATASETS_LEDGER_H_
#define TASKMINT_DATASETS_LEDGER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "proto/evidence.pb.h"
#include "proto/job.pb.h"

namespace taskmint::datasets {

// A stage of a candidate that is to be run.
struct StageJob {
  // SHA-256 of (run id, candidate position, stage): enqueueing it twice is enqueueing it once.
  std::string id;
  std::string run_id;
  int64_t position = 0;  // the candidate's place in the run
  std::string stage;     // "propose", "build", ...
};

// A stage job that this worker holds. Its fencing token rises with every claim, so that a worker
// that lost its lease cannot commit.
struct ClaimedJob {
  StageJob job;
  int64_t fencing_token = 0;
  int attempt = 1;  // from 1
  int64_t lease_until_ms = 0;
};

// What a finished stage leaves: the candidate's row as it is now, and the stages that follow.
struct StageCommit {
  v1::Candidate candidate;
  // The stage's log (a row of its own); blob digest or empty.
  std::string log_digest;
  int64_t wall_ms = 0;
  std::vector<StageJob> next;
};

// What became of a failed stage.
enum class FailureOutcome { kWillRetry, kGaveUp };

// Thread-safe. Errors (store): ABORTED when the fencing token is out of date, RESOURCE_EXHAUSTED
// for a full disk, UNAVAILABLE when the database stays locked beyond its time-out.
class Ledger {
 public:
  virtual ~Ledger() = default;

  // Adds jobs; those that exist already (in any state) are left as they are.
  virtual Status Enqueue(const std::vector<StageJob>& jobs) = 0;
  // Claims the open job of `run_id` with the lowest position below `position_max`, or one whose
  // lease ran out; nothing when there is none now.
  virtual Result<std::optional<ClaimedJob>> Claim(const std::string& run_id,
                                                  const std::string& worker, int64_t lease_ms,
                                                  int64_t position_max) = 0;
  // Extends the lease. ABORTED when it was lost.
  virtual Status Heartbeat(const ClaimedJob& claimed, int64_t lease_ms) = 0;
  // Writes the candidate, its evidence, the stage's row and the next jobs, and ends the job, in
  // one transaction.
  virtual Status Complete(const ClaimedJob& claimed, const StageCommit& commit) = 0;
  // Records the failure {code, boundary, message}. Another attempt follows when the status is
  // transient and fewer than attempts_max were made; else the caller completes the job with a
  // candidate rejected as no-verdict (the job stays claimed).
  virtual Result<FailureOutcome> Fail(const ClaimedJob& claimed, const Status& status,
                                      int attempts_max) = 0;
  // Gives the job back at once, its attempt uncounted: Ctrl-C.
  virtual Status Release(const ClaimedJob& claimed) = 0;
  // Jobs of a run that are neither done nor failed, below position_max.
  virtual Result<int64_t> OpenJobs(const std::string& run_id, int64_t position_max) = 0;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_LEDGER_H_
