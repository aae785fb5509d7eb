#include "datasets/sqlite/connection_pool.h"

namespace taskmint::datasets::sqlite {

ConnectionPool::Loan::~Loan() {
  if (connection_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  pool_->idle_.push_back(std::move(connection_));
}

Result<ConnectionPool::Loan> ConnectionPool::Borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      return Loan(this, std::move(connection));
    }
  }
  TASKMINT_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection,
                            Connection::Open(path_, access_));
  return Loan(this, std::move(connection));
}

}  // namespace taskmint::datasets::sqlite
