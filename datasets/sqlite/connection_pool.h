// Connections for many threads: each is used by one thread at a time and then handed on.
#ifndef TASKMINT_DATASETS_SQLITE_CONNECTION_POOL_H_
#define TASKMINT_DATASETS_SQLITE_CONNECTION_POOL_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "datasets/sqlite/connection.h"

namespace taskmint::datasets::sqlite {

// Thread-safe. Outlives its loans.
class ConnectionPool {
 public:
  // Returns the connection to its pool when destroyed.
  class Loan {
   public:
    Loan(ConnectionPool* pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&&) = delete;
    ~Loan();
    Connection& operator*() { return *connection_; }
    Connection* operator->() { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  ConnectionPool(std::string path, Access access) : path_(std::move(path)), access_(access) {}

  // An idle connection, or a new one. A thread that holds a loan does not ask for a second one.
  Result<Loan> Borrow();
  const std::string& path() const { return path_; }
  Access access() const { return access_; }

 private:
  std::string path_;
  Access access_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace taskmint::datasets::sqlite

#endif  // TASKMINT_DATASETS_SQLITE_CONNECTION_POOL_H_
