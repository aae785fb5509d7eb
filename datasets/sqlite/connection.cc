#include "datasets/sqlite/connection.h"

#include <sqlite3.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace taskmint::datasets::sqlite {
namespace {

bool IsOutOfSpace(int error_number) {
  return error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
}

// A path in a URI: everything that is special there as %XX.
std::string UriOf(const std::string& path, std::string_view query) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    if (plain) {
      uri += c;
    } else {
      uri += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return uri.append(query);
}

}  // namespace

Status StatusFromSqlite(sqlite3* database, int code, const std::string& path) {
  const int error_number = database == nullptr ? 0 : sqlite3_system_errno(database);
  const std::string what =
      path + ": " + (database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database));
  const auto make = [](Code status_code, const std::string& message) {
    return Status(status_code, Boundary::kStore, message);
  };
  Status full =
      make(Code::kResourceExhausted, what +
                                         "; the disk, a quota or a file size limit is exhausted: "
                                         "free some space there, then run the same command again");
  Status denied = make(Code::kPermissionDenied,
                       what +
                           "; give this user the right to write there, or name another "
                           "store with --store");
  switch (code & 0xff) {
    case SQLITE_FULL:
      return full;
    case SQLITE_NOMEM:
      return make(Code::kResourceExhausted, what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(Code::kUnavailable, what + "; another process keeps it locked: try again later");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return make(Code::kDataLoss,
                  what +
                      "; the store is damaged: `taskmint store check` says where, and a copy of "
                      "the folder mends it");
    case SQLITE_IOERR:
      // SQLite's errno may be of a later call; a failed write is a limit unless it says otherwise.
      if (IsOutOfSpace(error_number) || code == SQLITE_IOERR_SHMSIZE ||
          (code == SQLITE_IOERR_WRITE && error_number != EIO)) {
        return full;
      }
      if (code == SQLITE_IOERR_NOMEM) return make(Code::kResourceExhausted, what);
      if (error_number == EACCES || error_number == EROFS || error_number == EPERM) return denied;
      return make(Code::kDataLoss, what + "; the disk may be failing");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return denied;
    case SQLITE_CANTOPEN:
      if (IsOutOfSpace(error_number)) return full;
      if (error_number == ENOENT) return make(Code::kNotFound, what);
      return denied;
    default:
      return make(Code::kInternal, what);
  }
}

Statement::Statement(Connection* connection, std::string_view sql) : connection_(connection) {
  Note(sqlite3_prepare_v2(connection->handle(), sql.data(), static_cast<int>(sql.size()),
                          &statement_, nullptr));
}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      next_(other.next_),
      status_(std::move(other.status_)) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::Note(int code) {
  if (code == SQLITE_OK || !status_.ok()) return;
  status_ = StatusFromSqlite(connection_->handle(), code, connection_->path());
}

Statement& Statement::Int(int64_t value) {
  if (status_.ok()) Note(sqlite3_bind_int64(statement_, next_++, value));
  return *this;
}
Statement& Statement::Real(double value) {
  if (status_.ok()) Note(sqlite3_bind_double(statement_, next_++, value));
  return *this;
}
Statement& Statement::Text(std::string_view value) {
  // A null pointer would bind NULL.
  const char* data = value.data() == nullptr ? "" : value.data();
  if (status_.ok()) {
    Note(sqlite3_bind_text64(statement_, next_++, data, value.size(), SQLITE_TRANSIENT,
                             SQLITE_UTF8));
  }
  return *this;
}
Statement& Statement::Blob(std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();
  if (status_.ok()) {
    Note(sqlite3_bind_blob64(statement_, next_++, data, value.size(), SQLITE_TRANSIENT));
  }
  return *this;
}
Statement& Statement::Null() {
  if (status_.ok()) Note(sqlite3_bind_null(statement_, next_++));
  return *this;
}

Result<bool> Statement::Step() {
  TASKMINT_RETURN_IF_ERROR(status_);
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return StatusFromSqlite(connection_->handle(), sqlite3_extended_errcode(connection_->handle()),
                          connection_->path());
}

Status Statement::Run() {
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return OkStatus();
  }
}

void Statement::Reset() {
  sqlite3_reset(statement_);
  next_ = 1;
}

int64_t Statement::GetInt(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::GetReal(int column) const { return sqlite3_column_double(statement_, column); }
std::string Statement::GetText(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string() : std::string(data, static_cast<size_t>(size));
}
bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Access access) {
  std::unique_ptr<Connection> connection(new Connection(path));
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  const bool writes = access == Access::kReadWrite || access == Access::kCreate;
  flags |= writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  if (access == Access::kCreate) flags |= SQLITE_OPEN_CREATE;
  const std::string uri = UriOf(path, access == Access::kImmutable ? "?immutable=1" : "");
  const int code = sqlite3_open_v2(uri.c_str(), &connection->database_, flags, nullptr);
  if (code != SQLITE_OK) return StatusFromSqlite(connection->database_, code, path);
  sqlite3_extended_result_codes(connection->database_, 1);
  // SQLite opens for reading what it cannot open for writing.
  if (writes && sqlite3_db_readonly(connection->database_, "main") == 1) {
    return StatusFromSqlite(nullptr, SQLITE_READONLY, path);
  }
  sqlite3_busy_timeout(connection->database_, kBusyMsMax);
  sqlite3_db_config(connection->database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection->database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (writes) TASKMINT_RETURN_IF_ERROR(connection->UseWal());
  // NORMAL: a killed process loses nothing; after a power failure the last stages run again.
  TASKMINT_RETURN_IF_ERROR(connection->Execute(
      "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
      "PRAGMA cache_size=-16000;"));
  return connection;
}

Connection::~Connection() { sqlite3_close(database_); }

Status Connection::UseWal() {
  using std::chrono::steady_clock;
  // Changing the mode fails with BUSY at once, whatever the time-out, when two openers do it.
  const auto end = steady_clock::now() + std::chrono::milliseconds(kBusyMsMax);
  for (;;) {
    const Result<std::string> mode = QueryText("PRAGMA journal_mode=WAL");
    if (mode.ok() && *mode == "wal") return OkStatus();
    if (mode.ok()) {
      return {Code::kFailedPrecondition, Boundary::kStore,
              path_ +
                  ": this file system has no shared memory for SQLite's write-ahead log; put "
                  "the store on a local disk"};
    }
    if (mode.status().code() != Code::kUnavailable || steady_clock::now() > end) {
      return mode.status();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Status Connection::Execute(const std::string& sql) {
  const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : StatusFromSqlite(database_, code, path_);
}

Result<int64_t> Connection::QueryInt(std::string_view sql) {
  Statement statement = Prepare(sql);
  TASKMINT_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.GetInt(0) : 0;
}

Result<std::string> Connection::QueryText(std::string_view sql) {
  Statement statement = Prepare(sql);
  TASKMINT_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.GetText(0) : std::string();
}

int64_t Connection::Changes() const { return sqlite3_changes64(database_); }

Result<Transaction> Transaction::Begin(Connection& connection, bool writes) {
  TASKMINT_RETURN_IF_ERROR(connection.Execute(writes ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(&connection);
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Transaction::~Transaction() {
  if (connection_ == nullptr) return;
  // A full disk may have rolled it back already.
  if (sqlite3_get_autocommit(connection_->handle()) == 0) {
    (void)connection_->Execute("ROLLBACK");
  }
}

Status Transaction::Commit() {
  TASKMINT_RETURN_IF_ERROR(connection_->Execute("COMMIT"));
  connection_ = nullptr;
  return OkStatus();
}

}  // namespace taskmint::datasets::sqlite
