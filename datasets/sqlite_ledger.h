// The job ledger in the store's SQLite database.
#ifndef TASKMINT_DATASETS_SQLITE_LEDGER_H_
#define TASKMINT_DATASETS_SQLITE_LEDGER_H_

#include "datasets/ledger.h"
#include "datasets/sqlite/connection_pool.h"
#include "proto/base/clock.h"

namespace taskmint::datasets {

class SqliteLedger final : public Ledger {
 public:
  // The pool's database has the store's tables; pool and clock outlive the ledger.
  SqliteLedger(sqlite::ConnectionPool& pool, const Clock& clock) : pool_(pool), clock_(clock) {}

  Status Enqueue(const std::vector<StageJob>& jobs) override;
  Result<std::optional<ClaimedJob>> Claim(const std::string& run_id, const std::string& worker,
                                          int64_t lease_ms, int64_t position_max) override;
  Status Heartbeat(const ClaimedJob& claimed, int64_t lease_ms) override;
  Status Complete(const ClaimedJob& claimed, const StageCommit& commit) override;
  Result<FailureOutcome> Fail(const ClaimedJob& claimed, const Status& status,
                              int attempts_max) override;
  Status Release(const ClaimedJob& claimed) override;
  Result<int64_t> OpenJobs(const std::string& run_id, int64_t position_max) override;

 private:
  sqlite::ConnectionPool& pool_;
  const Clock& clock_;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_SQLITE_LEDGER_H_
