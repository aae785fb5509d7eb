// SqliteStore's trajectories.
#include "datasets/candidate_rows.h"
#include "datasets/compression.h"
#include "datasets/sqlite_store.h"
#include "proto/base/record.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kTrajectoryProblemsMax = 1'000;

// A store of format 1.0 that is open for reading has none.
Result<bool> HasTrajectories(sqlite::Connection& connection) {
  TASKMINT_ASSIGN_OR_RETURN(
      const int64_t tables,
      connection.QueryInt("SELECT count(*) FROM sqlite_master WHERE name = 'trajectories'"));
  return tables > 0;
}

}  // namespace

Result<std::string> SqliteStore::PutTrajectory(const v1::Trajectory& trajectory) {
  if (pool_.access() != sqlite::Access::kReadWrite) {
    return Status(Code::kFailedPrecondition, Boundary::kStore, folder_ + " is open for reading");
  }
  const std::string id = TrajectoryId(trajectory);
  TASKMINT_ASSIGN_OR_RETURN(const std::string packed, PackRecord(trajectory));
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  sqlite::Statement row = connection->Prepare(
      "INSERT INTO trajectories(id, task_id, actor, state, score, steps, created_ms, record) "
      "VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(id) DO NOTHING");
  const v1::Verdict& verdict = trajectory.verdict();
  row.Text(id).Text(trajectory.task_id()).Text(trajectory.actor()).Int(verdict.state());
  const bool scored = verdict.state() != v1::Verdict::STATE_UNSPECIFIED &&
                      verdict.state() != v1::Verdict::STATE_NO_VERDICT;
  if (scored) {
    row.Real(verdict.score());
  } else {
    row.Null();
  }
  row.Int(trajectory.steps_size()).Int(trajectory.started_ms()).Blob(packed);
  TASKMINT_RETURN_IF_ERROR(row.Run());
  return id;
}

Result<v1::Trajectory> SqliteStore::FindTrajectory(const std::string& id) {
  TASKMINT_RETURN_IF_ERROR(CheckIdPrefix(id, "trajectory list"));
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  const Status none(
      Code::kNotFound, Boundary::kStore,
      "no trajectory " + id + " in " + folder_ + ": `taskmint trajectory list` names them");
  TASKMINT_ASSIGN_OR_RETURN(const bool some, HasTrajectories(*connection));
  if (!some) return none;
  sqlite::Statement row = connection->Prepare(
      "SELECT id, record FROM trajectories WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 2");
  row.Text(id).Text(IdPrefixEnd(id));
  TASKMINT_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return none;
  const std::string first = row.GetText(0);
  v1::Trajectory trajectory;
  TASKMINT_RETURN_IF_ERROR(UnpackRecord(row.GetText(1), "trajectory " + first, trajectory));
  TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
  if (!more) return trajectory;
  return Status(Code::kInvalidArgument, Boundary::kConfig,
                id + " is the start of several ids, " + first.substr(0, 16) + " and " +
                    row.GetText(0).substr(0, 16) + " among them: give more digits");
}

Result<std::vector<TrajectoryRow>> SqliteStore::Trajectories(const std::string& task_id) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  std::vector<TrajectoryRow> rows;
  TASKMINT_ASSIGN_OR_RETURN(const bool some, HasTrajectories(*connection));
  if (!some) return rows;
  sqlite::Statement row = connection->Prepare(
      "SELECT id, task_id, actor, state, score, steps, created_ms FROM trajectories "
      "WHERE ?1 = '' OR task_id = ?1 ORDER BY created_ms, id");
  row.Text(task_id);
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return rows;
    TrajectoryRow& next = rows.emplace_back();
    next.id = row.GetText(0);
    next.task_id = row.GetText(1);
    next.actor = row.GetText(2);
    next.state = static_cast<v1::Verdict::State>(row.GetInt(3));
    if (!row.IsNull(4)) next.score = row.GetReal(4);
    next.steps = row.GetInt(5);
    next.started_ms = row.GetInt(6);
  }
}

Status SqliteStore::CheckTrajectories(CheckReport& report) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(const bool some, HasTrajectories(*connection));
  if (!some) return OkStatus();
  sqlite::Statement row = connection->Prepare("SELECT id, record FROM trajectories ORDER BY id");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return OkStatus();
    ++report.trajectories;
    const std::string id = row.GetText(0);
    v1::Trajectory trajectory;
    Status status = UnpackRecord(row.GetText(1), "trajectory " + id, trajectory);
    if (status.ok() && TrajectoryId(trajectory) != id) {
      status = {Code::kDataLoss, Boundary::kStore, "trajectory " + id + ": its digest differs"};
    }
    if (!status.ok() && report.damaged.size() < kTrajectoryProblemsMax) {
      report.damaged.push_back(status.message());
    }
  }
}

}  // namespace taskmint::datasets
