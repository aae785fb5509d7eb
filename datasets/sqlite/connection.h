// SQLite with RAII and Status: a connection, its statements and transactions.
#ifndef TASKMINT_DATASETS_SQLITE_CONNECTION_H_
#define TASKMINT_DATASETS_SQLITE_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace taskmint::datasets::sqlite {

enum class Access {
  kReadOnly,
  // Read-only, and nobody writes: for folders that cannot be written, where WAL needs this.
  kImmutable,
  kReadWrite,
  kCreate,
};

// How long a statement waits for another process's transaction.
constexpr int kBusyMsMax = 30'000;

// A failure of SQLite at the store boundary: FULL is RESOURCE_EXHAUSTED, BUSY is UNAVAILABLE,
// CORRUPT and IOERR are DATA_LOSS, READONLY and PERM are PERMISSION_DENIED, the rest INTERNAL.
// IOERR for want of space is RESOURCE_EXHAUSTED. `path` is named in the message.
Status StatusFromSqlite(sqlite3* database, int code, const std::string& path);

class Connection;

// A prepared statement. An error of preparing or binding is kept and returned by the next Step or
// Run. Destroyed (and thereby reset) before the next write of its connection. Move-only.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Binds the next parameter, from the first on.
  Statement& Int(int64_t value);
  Statement& Real(double value);
  Statement& Text(std::string_view value);
  Statement& Blob(std::string_view value);
  Statement& Null();

  // True when there is a row, false at the end.
  Result<bool> Step();
  // Steps to the end; rows are dropped.
  Status Run();
  // Ready to bind from the first parameter again.
  void Reset();

  // Columns of the current row, from 0. NULL reads as 0 or empty.
  int64_t GetInt(int column) const;
  double GetReal(int column) const;
  std::string GetText(int column) const;
  bool IsNull(int column) const;

  sqlite3_stmt* handle() { return statement_; }

 private:
  friend class Connection;
  Statement(Connection* connection, std::string_view sql);
  void Note(int code);

  Connection* connection_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
  Status status_;
};

// One connection, used by one thread at a time (NOMUTEX). WAL, foreign keys on, waits for other
// writers up to kBusyMsMax.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> Open(const std::string& path, Access access);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Statement Prepare(std::string_view sql) { return {this, sql}; }
  // Runs one or more statements without parameters.
  Status Execute(const std::string& sql);
  // The first column of the first row, 0 or empty when there is none.
  Result<int64_t> QueryInt(std::string_view sql);
  Result<std::string> QueryText(std::string_view sql);
  // Rows changed by the last write.
  int64_t Changes() const;

  sqlite3* handle() { return database_; }
  const std::string& path() const { return path_; }

 private:
  explicit Connection(std::string path) : path_(std::move(path)) {}
  // Sets journal_mode=WAL unless the file has it.
  Status UseWal();

  std::string path_;
  sqlite3* database_ = nullptr;
};

// BEGIN IMMEDIATE ... COMMIT; rolled back when destroyed before Commit. A read transaction
// (`writes` false) is a snapshot.
class Transaction {
 public:
  static Result<Transaction> Begin(Connection& connection, bool writes = true);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status Commit();

 private:
  explicit Transaction(Connection* connection) : connection_(connection) {}
  Connection* connection_;
};

}  // namespace taskmint::datasets::sqlite

#endif  // TASKMINT_DATASETS_SQLITE_CONNECTION_H_
