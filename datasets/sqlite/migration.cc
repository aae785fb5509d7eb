#include "datasets/sqlite/migration.h"

#include <algorithm>
#include <charconv>

namespace taskmint::datasets::sqlite {
namespace {

std::string ToString(const FormatVersion& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor);
}

FormatVersion Parse(const std::string& text) {
  FormatVersion version;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.') {
    std::from_chars(major.ptr + 1, end, version.minor);
  }
  return version;
}

Status Apply(Connection& connection, const Migration& migration) {
  TASKMINT_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(connection));
  TASKMINT_ASSIGN_OR_RETURN(const FormatVersion found, ReadVersion(connection));
  // Another process was faster.
  if (found >= migration.to) return OkStatus();
  TASKMINT_RETURN_IF_ERROR(connection.Execute(migration.sql));
  TASKMINT_RETURN_IF_ERROR(connection.Execute(
      "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
      "INSERT OR REPLACE INTO meta(key, value) VALUES('format', '" +
      ToString(migration.to) + "');PRAGMA user_version=" + std::to_string(migration.to.major) +
      ";PRAGMA application_id=" + std::to_string(kApplicationId)));
  return transaction.Commit();
}

}  // namespace

Result<FormatVersion> ReadVersion(Connection& connection) {
  // One statement, so that all of it is of one moment.
  Statement statement = connection.Prepare(
      "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM "
      "pragma_application_id), count(*), coalesce(sum(name = 'meta'), 0) FROM sqlite_master");
  TASKMINT_RETURN_IF_ERROR(statement.Step().status());
  const int64_t major = statement.GetInt(0);
  const int64_t owner = statement.GetInt(1);
  const int64_t tables = statement.GetInt(2);
  const int64_t meta = statement.GetInt(3);
  statement.Reset();
  if (tables == 0 && major == 0) return FormatVersion{};
  if (owner != kApplicationId) {
    return Status(Code::kFailedPrecondition, Boundary::kStore,
                  connection.path() +
                      " is an SQLite database of another program; name another "
                      "store with --store");
  }
  FormatVersion version{static_cast<int>(std::clamp<int64_t>(major, 0, 1'000'000)), 0};
  if (meta == 0) return version;
  TASKMINT_ASSIGN_OR_RETURN(const std::string text,
                            connection.QueryText("SELECT value FROM meta WHERE key = 'format'"));
  return std::max(version, Parse(text));
}

Status CheckVersion(const FormatVersion& found, const FormatVersion& own, const std::string& path) {
  if (found.major <= own.major) return OkStatus();
  return {Code::kFailedPrecondition, Boundary::kStore,
          path + " has format " + ToString(found) + ", this program knows formats up to " +
              std::to_string(own.major) +
              ".x: use the newer version of taskmint that made it, or name another store with "
              "--store"};
}

Status Migrate(Connection& connection, const std::vector<Migration>& migrations) {
  for (const Migration& migration : migrations) {
    TASKMINT_ASSIGN_OR_RETURN(const FormatVersion found, ReadVersion(connection));
    if (found >= migration.to) continue;
    TASKMINT_RETURN_IF_ERROR(Apply(connection, migration));
  }
  return OkStatus();
}

}  // namespace taskmint::datasets::sqlite
