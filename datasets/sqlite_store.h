// Store on SQLite and a folder of blobs.
#ifndef TASKMINT_DATASETS_SQLITE_STORE_H_
#define TASKMINT_DATASETS_SQLITE_STORE_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "datasets/sqlite/connection_pool.h"
#include "datasets/sqlite_ledger.h"
#include "datasets/store.h"
#include "datasets/store_lock.h"

namespace taskmint::datasets {

// A blob that a row refers to.
struct Reference {
  std::string digest;
  bool is_tree = false;
  std::string owner;  // "task 12ab...", "run ...": for people
  std::string role;   // "overlay"
};

class SqliteStore final : public Store {
 public:
  // `folder` holds a migrated database.
  SqliteStore(std::string folder, StoreLock lock, sqlite::Access access, const Clock& clock);

  ~SqliteStore() override;

  // Opens the first connection, so that opening the store says what is wrong with it.
  Status Connect();

  const std::string& folder() const override { return folder_; }
  BlobStore& blobs() override { return blobs_; }
  Ledger& ledger() override { return ledger_; }
  std::string cache_folder() const override;
  uint64_t database_bytes() const override;

  Status CreateRun(const std::string& run_id, const v1::Job& job,
                   const std::vector<v1::Candidate>& candidates,
                   const std::vector<StageJob>& jobs) override;
  Result<bool> AddKept(const std::string& run_id, const v1::Job& job,
                       v1::Candidate candidate) override;
  Result<std::optional<v1::Job>> FindRun(const std::string& run_id) override;
  Result<v1::Candidate> GetCandidate(const std::string& run_id, int64_t position) override;
  Result<std::vector<CandidateState>> CandidateStates(const std::string& run_id) override;
  Status ReopenWithoutVerdict(const std::string& run_id) override;
  Status SelectUpTo(const std::string& run_id, int64_t position_max) override;
  Result<std::string> FindDuplicate(const v1::Candidate& candidate) override;
  using Store::List;
  Result<std::vector<ListRow>> List(Which which, const std::string& where,
                                    const FilterBounds& bounds) override;
  Result<std::vector<FunnelRow>> Funnel() override;
  Result<v1::Candidate> FindById(const std::string& id) override;
  Result<std::vector<StageRow>> Stages(const v1::Candidate& candidate) override;
  Result<std::vector<std::string>> KeptTaskIds(const std::string& where) override;
  Status PutSubmission(const v1::Submission& submission) override;
  Result<std::vector<v1::Submission>> Submissions() override;
  Result<std::optional<EnvironmentRow>> FindEnvironment(const std::string& key) override;
  Result<EnvironmentRow> PutEnvironment(const EnvironmentRow& row) override;
  Result<std::string> PutTrajectory(const v1::Trajectory& trajectory) override;
  Result<v1::Trajectory> FindTrajectory(const std::string& id) override;
  Result<std::vector<TrajectoryRow>> Trajectories(const std::string& task_id) override;
  Result<CheckReport> Check() override;
  Result<CollectReport> Collect() override;

 private:
  // Calls `visit` for every reference of every row, in one snapshot. A row that cannot be read is
  // given to `on_damage`, and passed over when that returns OK.
  Status ForEachReference(const std::function<void(const Reference&)>& visit,
                          const std::function<Status(const Status&)>& on_damage);
  Status CheckDatabase(std::vector<std::string>& problems);
  Status CheckTrajectories(CheckReport& report);
  Status CollectLocked(CollectReport& report);

  std::string folder_;
  StoreLock lock_;
  sqlite::ConnectionPool pool_;
  BlobStore blobs_;
  SqliteLedger ledger_;
  const Clock& clock_;
  mutable std::once_flag cache_chosen_;
  mutable std::string cache_;
  mutable bool cache_is_temporary_ = false;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_SQLITE_STORE_H_
