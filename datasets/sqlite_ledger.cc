#include "datasets/sqlite_ledger.h"

#include "datasets/candidate_rows.h"
#include "datasets/schema.h"

namespace taskmint::datasets {
namespace {

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Transaction;

// Runs an UPDATE of jobs whose first parameters are `first`, then the claim's id and token. The
// claim holds if it changed a row.
Status UpdateClaimed(Connection& connection, const ClaimedJob& claimed, std::string_view set,
                     std::optional<int64_t> first = std::nullopt) {
  Statement update = connection.Prepare("UPDATE jobs SET " + std::string(set) +
                                        " WHERE id = ? AND state = 1 AND fencing_token = ?");
  if (first.has_value()) update.Int(*first);
  TASKMINT_RETURN_IF_ERROR(update.Text(claimed.job.id).Int(claimed.fencing_token).Run());
  if (connection.Changes() == 1) return OkStatus();
  return {Code::kAborted, Boundary::kStore,
          "the lease of stage " + claimed.job.stage + " of candidate " +
              std::to_string(claimed.job.position) + " ran out and another worker has it"};
}

struct StageResult {
  std::string state;
  Status status;
  std::string log_digest;
  int64_t now_ms = 0;
  // Nothing: since the claim.
  std::optional<int64_t> wall_ms;
};

Status WriteStage(Connection& connection, const ClaimedJob& claimed, const StageResult& result) {
  const bool failed = !result.status.ok();
  Statement row = connection.Prepare(
      "INSERT INTO stages(run, position, stage, attempt, state, code, boundary, message, "
      "log_digest, started_ms, wall_ms) SELECT runs.number, jobs.position, jobs.stage, "
      "?, ?, ?, ?, ?, ?, jobs.claimed_ms, coalesce(?, ? - jobs.claimed_ms) "
      "FROM jobs JOIN runs ON runs.id = jobs.run_id WHERE jobs.id = ?");
  row.Int(claimed.attempt).Text(result.state);
  row.Text(failed ? CodeName(result.status.code()) : "");
  row.Text(failed ? BoundaryName(result.status.boundary()) : "");
  row.Text(result.status.message()).Text(result.log_digest);
  if (result.wall_ms.has_value()) {
    row.Int(*result.wall_ms);
  } else {
    row.Null();
  }
  return row.Int(result.now_ms).Text(claimed.job.id).Run();
}

}  // namespace

Status SqliteLedger::Enqueue(const std::vector<StageJob>& jobs) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*connection));
  TASKMINT_RETURN_IF_ERROR(WriteJobs(*connection, jobs));
  return transaction.Commit();
}

Result<std::optional<ClaimedJob>> SqliteLedger::Claim(const std::string& run_id,
                                                      const std::string& worker, int64_t lease_ms,
                                                      int64_t position_max) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  const int64_t now_ms = clock_.NowMs();
  // Looked for first without a lock, because idle workers ask often.
  constexpr std::string_view kNext =
      "SELECT number FROM jobs WHERE run_id = ?1 AND position < ?2 AND state < 2 AND "
      "(state = 0 OR lease_until_ms <= ?3) ORDER BY position, number LIMIT 1";
  {
    Statement next = connection->Prepare(kNext);
    next.Text(run_id).Int(position_max).Int(now_ms);
    TASKMINT_ASSIGN_OR_RETURN(const bool found, next.Step());
    if (!found) return std::optional<ClaimedJob>();
  }
  Statement claim = connection->Prepare(
      "UPDATE jobs SET state = 1, attempts = attempts + 1, fencing_token = fencing_token + 1, "
      "claimed_ms = ?3, lease_until_ms = ?3 + ?4, worker = ?5 WHERE number = (" +
      std::string(kNext) +
      ") RETURNING id, run_id, position, stage, fencing_token, attempts, lease_until_ms");
  claim.Text(run_id).Int(position_max).Int(now_ms).Int(lease_ms).Text(worker);
  TASKMINT_ASSIGN_OR_RETURN(const bool claimed, claim.Step());
  if (!claimed) return std::optional<ClaimedJob>();
  ClaimedJob job;
  job.job = {claim.GetText(0), claim.GetText(1), claim.GetInt(2), claim.GetText(3)};
  job.fencing_token = claim.GetInt(4);
  job.attempt = static_cast<int>(claim.GetInt(5));
  job.lease_until_ms = claim.GetInt(6);
  // The claim is committed when the statement ends.
  TASKMINT_RETURN_IF_ERROR(claim.Run());
  return std::optional<ClaimedJob>(std::move(job));
}

Status SqliteLedger::Heartbeat(const ClaimedJob& claimed, int64_t lease_ms) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  return UpdateClaimed(*connection, claimed, "lease_until_ms = ?", clock_.NowMs() + lease_ms);
}

Status SqliteLedger::Complete(const ClaimedJob& claimed, const StageCommit& commit) {
  const v1::Candidate& candidate = commit.candidate;
  if (candidate.position() != claimed.job.position) {
    return {Code::kInvalidArgument, Boundary::kStore,
            "stage " + claimed.job.stage + " of candidate " + std::to_string(claimed.job.position) +
                " cannot write candidate " + std::to_string(candidate.position())};
  }
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*connection));
  TASKMINT_RETURN_IF_ERROR(
      UpdateClaimed(*connection, claimed, "state = 2, lease_until_ms = 0, worker = ''"));
  TASKMINT_ASSIGN_OR_RETURN(const int64_t run, RunNumber(*connection, claimed.job.run_id));
  TASKMINT_RETURN_IF_ERROR(WriteCandidate(*connection, run, candidate, clock_.NowMs()));
  TASKMINT_RETURN_IF_ERROR(
      WriteStage(*connection, claimed,
                 {"done", OkStatus(), commit.log_digest, clock_.NowMs(), commit.wall_ms}));
  TASKMINT_RETURN_IF_ERROR(WriteJobs(*connection, commit.next));
  return transaction.Commit();
}

Result<FailureOutcome> SqliteLedger::Fail(const ClaimedJob& claimed, const Status& status,
                                          int attempts_max) {
  const bool retry = status.transient() && claimed.attempt < attempts_max;
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*connection));
  TASKMINT_RETURN_IF_ERROR(UpdateClaimed(
      *connection, claimed, retry ? "state = 0, lease_until_ms = 0, worker = ''" : "state = 1"));
  TASKMINT_RETURN_IF_ERROR(
      WriteStage(*connection, claimed, {"failed", status, "", clock_.NowMs(), std::nullopt}));
  TASKMINT_RETURN_IF_ERROR(transaction.Commit());
  return retry ? FailureOutcome::kWillRetry : FailureOutcome::kGaveUp;
}

Status SqliteLedger::Release(const ClaimedJob& claimed) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  return UpdateClaimed(*connection, claimed,
                       "state = 0, attempts = attempts - 1, lease_until_ms = 0, worker = ''");
}

Result<int64_t> SqliteLedger::OpenJobs(const std::string& run_id, int64_t position_max) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement count = connection->Prepare(
      "SELECT count(*) FROM jobs WHERE run_id = ? AND position < ? AND state < 2");
  count.Text(run_id).Int(position_max);
  TASKMINT_RETURN_IF_ERROR(count.Step().status());
  return count.GetInt(0);
}

}  // namespace taskmint::datasets
