// SqliteStore::AddKept: tasks that no pipeline of this store kept.
#include "datasets/candidate_rows.h"
#include "datasets/sqlite_store.h"

namespace taskmint::datasets {

Result<bool> SqliteStore::AddKept(const std::string& run_id, const v1::Job& job,
                                  v1::Candidate candidate) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(const std::string packed, PackRecord(job));
  TASKMINT_ASSIGN_OR_RETURN(sqlite::Transaction transaction,
                            sqlite::Transaction::Begin(*connection));
  {
    sqlite::Statement kept =
        connection->Prepare("SELECT 1 FROM candidates WHERE task_id = ? AND state = 2");
    kept.Text(candidate.task().id());
    TASKMINT_ASSIGN_OR_RETURN(const bool there, kept.Step());
    if (there) return false;
  }
  TASKMINT_RETURN_IF_ERROR(
      connection
          ->Prepare("INSERT INTO runs(id, source, category, created_ms, job) VALUES(?,?,?,?,?) "
                    "ON CONFLICT(id) DO NOTHING")
          .Text(run_id)
          .Text(job.source())
          .Text(CategoryName(job.category()))
          .Int(clock_.NowMs())
          .Blob(packed)
          .Run());
  TASKMINT_ASSIGN_OR_RETURN(const int64_t run, RunNumber(*connection, run_id));
  int64_t position = 0;
  {
    sqlite::Statement next =
        connection->Prepare("SELECT ifnull(max(position), -1) + 1 FROM candidates WHERE run = ?");
    next.Int(run);
    TASKMINT_RETURN_IF_ERROR(next.Step().status());
    position = next.GetInt(0);
  }
  candidate.set_job_id(run_id);
  candidate.set_position(position);
  TASKMINT_RETURN_IF_ERROR(WriteCandidate(*connection, run, candidate, clock_.NowMs()));
  TASKMINT_RETURN_IF_ERROR(transaction.Commit());
  return true;
}

}  // namespace taskmint::datasets
