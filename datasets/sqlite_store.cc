#include "datasets/sqlite_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "datasets/candidate_rows.h"
#include "datasets/os_error.h"
#include "datasets/schema.h"
#include "datasets/sqlite/migration.h"
#include "datasets/task_filter.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;
using sqlite::Access;
using sqlite::Connection;
using sqlite::Statement;
using sqlite::Transaction;

constexpr int64_t kCollectorWaitMs = 30'000;

bool Exists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

bool HasBytes(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && status.st_size > 0;
}

// How the database can be read: a folder without write access has no place for WAL's index.
Access ReadingAccess(const std::string& folder, const std::string& database) {
  const bool writable = access(folder.c_str(), W_OK) == 0;
  return writable || HasBytes(database + "-wal") ? Access::kReadOnly : Access::kImmutable;
}

// Brings the database to this program's format, or refuses it.
Status Prepare(const std::string& database, OpenMode mode) {
  const sqlite::FormatVersion own = StoreMigrations().back().to;
  // Looked at before anything is written: opening for writing changes the file's journal mode, and
  // reading would leave WAL's files where there are none, for then nobody has it open.
  if (HasBytes(database)) {
    const Access looking = Exists(database + "-wal") ? Access::kReadOnly : Access::kImmutable;
    TASKMINT_ASSIGN_OR_RETURN(const auto connection, Connection::Open(database, looking));
    TASKMINT_ASSIGN_OR_RETURN(const sqlite::FormatVersion found, ReadVersion(*connection));
    TASKMINT_RETURN_IF_ERROR(CheckVersion(found, own, database));
    // Who only reads can do without what a newer minor version adds.
    const bool readable = mode == OpenMode::kReadOnly && found.major == own.major;
    if (found >= own || readable) return OkStatus();
  }
  const Access writing = mode == OpenMode::kCreate ? Access::kCreate : Access::kReadWrite;
  TASKMINT_ASSIGN_OR_RETURN(const auto connection, Connection::Open(database, writing));
  TASKMINT_ASSIGN_OR_RETURN(const sqlite::FormatVersion found, ReadVersion(*connection));
  TASKMINT_RETURN_IF_ERROR(CheckVersion(found, own, database));
  return Migrate(*connection, StoreMigrations());
}

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const std::string& folder, OpenMode mode,
                                           const Clock& clock) {
  const std::string database = folder + "/tasks.sqlite";
  if (mode == OpenMode::kCreate) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return OsError(error.value(), "make the store", folder);
  } else if (!Exists(database)) {
    if (errno == EACCES) return OsError(EACCES, "open", database);
    return Status(Code::kNotFound, Boundary::kStore,
                  "no store at " + folder +
                      ": `taskmint synth` makes one, --store DIR names "
                      "another");
  }
  TASKMINT_ASSIGN_OR_RETURN(StoreLock lock, StoreLock::Share(folder, kCollectorWaitMs));
  const Access reading = ReadingAccess(folder, database);
  TASKMINT_RETURN_IF_ERROR(Prepare(database, mode));
  const Access access = mode == OpenMode::kReadOnly ? reading : Access::kReadWrite;
  auto store = std::make_unique<SqliteStore>(folder, std::move(lock), access, clock);
  TASKMINT_RETURN_IF_ERROR(store->Connect());
  return std::unique_ptr<Store>(std::move(store));
}

SqliteStore::SqliteStore(std::string folder, StoreLock lock, sqlite::Access access,
                         const Clock& clock)
    : folder_(std::move(folder)),
      lock_(std::move(lock)),
      pool_(folder_ + "/tasks.sqlite", access),
      blobs_(folder_ + "/blobs"),
      ledger_(pool_, clock),
      clock_(clock) {}

SqliteStore::~SqliteStore() {
  std::error_code ignored;
  if (cache_is_temporary_) fs::remove_all(cache_, ignored);
}

uint64_t SqliteStore::database_bytes() const {
  uint64_t sum = 0;
  for (const char* name : {"/tasks.sqlite", "/tasks.sqlite-wal"}) {
    std::error_code error;
    const auto bytes = fs::file_size(folder_ + name, error);
    if (!error) sum += bytes;
  }
  return sum;
}

std::string SqliteStore::cache_folder() const {
  std::call_once(cache_chosen_, [this] {
    cache_ = folder_ + "/cache";
    const std::string& written = Exists(cache_) ? cache_ : folder_;
    if (::access(written.c_str(), W_OK) == 0) return;
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "taskmint-cache-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) return;  // who writes to the store's own is told
    cache_ = name;
    cache_is_temporary_ = true;
  });
  return cache_;
}

Status SqliteStore::Connect() { return pool_.Borrow().status(); }

Status SqliteStore::CreateRun(const std::string& run_id, const v1::Job& job,
                              const std::vector<v1::Candidate>& candidates,
                              const std::vector<StageJob>& jobs) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(const std::string packed, PackRecord(job));
  TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*connection));
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
  if (connection->Changes() == 0) return OkStatus();
  TASKMINT_ASSIGN_OR_RETURN(const int64_t run, RunNumber(*connection, run_id));
  for (const v1::Candidate& candidate : candidates) {
    TASKMINT_RETURN_IF_ERROR(WriteCandidate(*connection, run, candidate, clock_.NowMs()));
  }
  TASKMINT_RETURN_IF_ERROR(WriteJobs(*connection, jobs));
  return transaction.Commit();
}

Result<std::optional<v1::Job>> SqliteStore::FindRun(const std::string& run_id) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement row = connection->Prepare("SELECT job FROM runs WHERE id = ?");
  row.Text(run_id);
  TASKMINT_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<v1::Job>();
  v1::Job job;
  TASKMINT_RETURN_IF_ERROR(UnpackRecord(row.GetText(0), "run " + run_id, job));
  return std::optional<v1::Job>(std::move(job));
}

Result<v1::Candidate> SqliteStore::GetCandidate(const std::string& run_id, int64_t position) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction snapshot, Transaction::Begin(*connection, false));
  TASKMINT_ASSIGN_OR_RETURN(const int64_t run, RunNumber(*connection, run_id));
  return ReadCandidate(*connection, run, position);
}

Result<std::vector<Store::CandidateState>> SqliteStore::CandidateStates(const std::string& run_id) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement row = connection->Prepare(
      "SELECT position, state, task_id FROM candidates WHERE run = "
      "(SELECT number FROM runs WHERE id = ?) ORDER BY position");
  row.Text(run_id);
  std::vector<CandidateState> states;
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return states;
    states.push_back(
        {row.GetInt(0), static_cast<v1::Candidate::State>(row.GetInt(1)), row.GetText(2)});
  }
}

Status SqliteStore::ReopenWithoutVerdict(const std::string& run_id) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*connection));
  TASKMINT_ASSIGN_OR_RETURN(const int64_t run, RunNumber(*connection, run_id));
  std::vector<int64_t> positions;
  {
    Statement row = connection->Prepare(
        "SELECT position FROM candidates WHERE run = ? AND state = 3 AND "
        "(reason = 'no-verdict' OR reason GLOB 'no-verdict:*')");
    row.Int(run);
    for (;;) {
      TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
      if (!more) break;
      positions.push_back(row.GetInt(0));
    }
  }
  for (const int64_t position : positions) {
    TASKMINT_ASSIGN_OR_RETURN(v1::Candidate candidate, ReadCandidate(*connection, run, position));
    candidate.set_state(v1::Candidate::STATE_PENDING);
    candidate.clear_reason();
    auto& evidence = *candidate.mutable_evidence();
    evidence.erase(std::remove_if(evidence.begin(), evidence.end(),
                                  [](const v1::Evidence& row) {
                                    return row.outcome() == v1::Evidence::OUTCOME_NO_VERDICT;
                                  }),
                   evidence.end());
    TASKMINT_RETURN_IF_ERROR(WriteCandidate(*connection, run, candidate, clock_.NowMs()));
    // Its last job is that of the stage that had no verdict.
    TASKMINT_RETURN_IF_ERROR(
        connection
            ->Prepare("UPDATE jobs SET state = 0 WHERE state = 2 AND number = "
                      "(SELECT max(number) FROM jobs WHERE run_id = ? AND position = ?)")
            .Text(run_id)
            .Int(position)
            .Run());
  }
  return transaction.Commit();
}

Status SqliteStore::SelectUpTo(const std::string& run_id, int64_t position_max) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  // 2 is kept, 4 is surplus.
  return connection
      ->Prepare(
          "UPDATE candidates SET state = iif(position < ?2, 2, 4) WHERE "
          "run = (SELECT number FROM runs WHERE id = ?1) AND "
          "((state = 2 AND position >= ?2) OR (state = 4 AND position < ?2))")
      .Text(run_id)
      .Int(position_max)
      .Run();
}

Result<std::string> SqliteStore::FindDuplicate(const v1::Candidate& candidate) {
  const std::string key = DuplicateKey(candidate);
  if (key.empty()) return std::string();
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement row = connection->Prepare(
      "SELECT c.task_id FROM candidates AS c JOIN runs AS r ON r.number = c.run "
      "WHERE c.duplicate_key = ?1 AND c.duplicate_key != '' AND c.task_id != ?2 AND "
      "((r.id = ?3 AND c.position < ?4 AND c.state IN (2, 4)) OR (r.id != ?3 AND c.state = 2)) "
      "ORDER BY c.id = ?5 DESC, c.run, c.position LIMIT 1");
  row.Text(key).Text(candidate.task().id()).Text(candidate.job_id()).Int(candidate.position());
  row.Text(candidate.id());
  TASKMINT_ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? row.GetText(0) : std::string();
}

Result<std::vector<ListRow>> SqliteStore::List(Which which, const std::string& where,
                                               const FilterBounds& bounds) {
  return FilterTasks(pool_.path(), pool_.access(), which, where, kFilterWallMsMax, bounds);
}

Result<std::vector<FunnelRow>> SqliteStore::Funnel() {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement row = connection->Prepare(
      "WITH latest AS (SELECT r.source AS source, c.state AS state, c.reason AS reason, "
      "row_number() OVER (PARTITION BY r.source, c.id ORDER BY c.state = 2 DESC, c.run DESC, "
      "c.position) AS place FROM candidates AS c JOIN runs AS r ON r.number = c.run), "
      "named AS (SELECT source, CASE state WHEN 2 THEN 'kept' WHEN 3 THEN "
      "iif(instr(reason, ':') > 0, substr(reason, 1, instr(reason, ':') - 1), reason) "
      "WHEN 4 THEN 'surplus' ELSE 'not tried' END AS reason FROM latest WHERE place = 1) "
      "SELECT source, reason, count(*) FROM named GROUP BY source, reason "
      "ORDER BY source, count(*) DESC, reason");
  std::vector<FunnelRow> rows;
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return rows;
    rows.push_back({row.GetText(0), row.GetText(1), row.GetInt(2)});
  }
}

Result<v1::Candidate> SqliteStore::FindById(const std::string& id) {
  TASKMINT_RETURN_IF_ERROR(CheckIdPrefix(id, "list"));
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction snapshot, Transaction::Begin(*connection, false));
  Statement row = connection->Prepare(
      "SELECT * FROM (SELECT task_id, run, position, state FROM candidates "
      "WHERE task_id != '' AND task_id >= ?1 AND task_id < ?2 UNION ALL "
      "SELECT id, run, position, state FROM candidates WHERE id >= ?1 AND id < ?2) "
      "ORDER BY state = 2 DESC, run DESC, position");
  row.Text(id).Text(IdPrefixEnd(id));
  std::string found;
  int64_t run = 0;
  int64_t position = 0;
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) break;
    const bool same_row = row.GetInt(1) == run && row.GetInt(2) == position;
    if (found.empty()) {
      found = row.GetText(0);
      run = row.GetInt(1);
      position = row.GetInt(2);
    } else if (row.GetText(0) != found && !same_row) {
      return Status(Code::kInvalidArgument, Boundary::kConfig,
                    id + " is the start of several ids, " + found.substr(0, 16) + " and " +
                        row.GetText(0).substr(0, 16) + " among them: give more digits");
    }
  }
  if (found.empty()) {
    return Status(Code::kNotFound, Boundary::kStore,
                  "no task or candidate " + id + " in " + folder_ +
                      ": `taskmint list` and `taskmint list --rejected` name them");
  }
  return ReadCandidate(*connection, run, position);
}

Result<std::vector<StageRow>> SqliteStore::Stages(const v1::Candidate& candidate) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement row = connection->Prepare(
      "SELECT stage, attempt, state, code, boundary, message, log_digest, started_ms, wall_ms "
      "FROM stages WHERE run = (SELECT number FROM runs WHERE id = ?) AND position = ? "
      "ORDER BY rowid");
  row.Text(candidate.job_id()).Int(candidate.position());
  std::vector<StageRow> stages;
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return stages;
    StageRow stage;
    stage.stage = row.GetText(0);
    stage.attempt = static_cast<int>(row.GetInt(1));
    stage.state = row.GetText(2);
    stage.code = row.GetText(3);
    stage.boundary = row.GetText(4);
    stage.message = row.GetText(5);
    stage.log_digest = row.GetText(6);
    stage.started_ms = row.GetInt(7);
    stage.wall_ms = row.GetInt(8);
    stages.push_back(std::move(stage));
  }
}

Result<std::vector<std::string>> SqliteStore::KeptTaskIds(const std::string& where) {
  TASKMINT_ASSIGN_OR_RETURN(std::vector<ListRow> rows, List(Which::kKept, where));
  std::vector<std::string> ids;
  ids.reserve(rows.size());
  for (ListRow& row : rows) ids.push_back(std::move(row.id));
  return ids;
}

Result<std::optional<EnvironmentRow>> SqliteStore::FindEnvironment(const std::string& key) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(Transaction snapshot, Transaction::Begin(*connection, false));
  Statement row =
      connection->Prepare("SELECT description, reproducible FROM environments WHERE key = ?");
  row.Text(key);
  TASKMINT_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<EnvironmentRow>();
  EnvironmentRow environment;
  environment.key = key;
  environment.description = row.GetText(0);
  environment.reproducible = row.GetInt(1) != 0;
  Statement layer = connection->Prepare(
      "SELECT mount_path, tree_digest FROM environment_layers WHERE key = ? ORDER BY ordinal");
  layer.Text(key);
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, layer.Step());
    if (!more) return std::optional<EnvironmentRow>(std::move(environment));
    environment.layers.emplace_back(layer.GetText(0), layer.GetText(1));
  }
}

Result<EnvironmentRow> SqliteStore::PutEnvironment(const EnvironmentRow& row) {
  {
    TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
    TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*connection));
    TASKMINT_RETURN_IF_ERROR(
        connection
            ->Prepare("INSERT INTO environments(key, description, reproducible, created_ms) "
                      "VALUES(?,?,?,?) ON CONFLICT(key) DO NOTHING")
            .Text(row.key)
            .Text(row.description)
            .Int(row.reproducible ? 1 : 0)
            .Int(clock_.NowMs())
            .Run());
    const bool is_new = connection->Changes() == 1;
    for (size_t i = 0; is_new && i < row.layers.size(); ++i) {
      TASKMINT_RETURN_IF_ERROR(connection->Prepare("INSERT INTO environment_layers VALUES(?,?,?,?)")
                                   .Text(row.key)
                                   .Int(static_cast<int64_t>(i))
                                   .Text(row.layers[i].first)
                                   .Text(row.layers[i].second)
                                   .Run());
    }
    TASKMINT_RETURN_IF_ERROR(transaction.Commit());
  }
  TASKMINT_ASSIGN_OR_RETURN(std::optional<EnvironmentRow> stored, FindEnvironment(row.key));
  if (stored) return *std::move(stored);
  return Status(Code::kDataLoss, Boundary::kStore, "environment " + row.key + " is gone");
}

}  // namespace taskmint::datasets
