// Formats of a database file and the way from one to the next.
#ifndef TASKMINT_DATASETS_SQLITE_MIGRATION_H_
#define TASKMINT_DATASETS_SQLITE_MIGRATION_H_

#include <compare>
#include <string>
#include <vector>

#include "datasets/sqlite/connection.h"

namespace taskmint::datasets::sqlite {

// A program reads every format of its own major version, also newer minors (tables and columns it
// does not know are left alone); a newer major it refuses. 0.0 is an empty file.
struct FormatVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const FormatVersion&) const = default;  // NOLINT(modernize-use-nullptr)
};

// A step that brings the file to `to`.
struct Migration {
  FormatVersion to;
  const char* sql;
};

// Marks a file as one of ours (PRAGMA application_id): "TMNT".
constexpr int kApplicationId = 0x544d4e54;

// The major version stands in PRAGMA user_version, the whole one in meta('format') as "1.0"; the
// higher of the two majors counts. FAILED_PRECONDITION when the file holds somebody else's tables.
Result<FormatVersion> ReadVersion(Connection& connection);

// OK when a program whose newest migration is `own` may work with the file; FAILED_PRECONDITION
// for a newer major.
Status CheckVersion(const FormatVersion& found, const FormatVersion& own, const std::string& path);

// Applies the steps that the file does not have yet, each in a transaction of its own, in rising
// order. Safe when several processes do it at once: each step is applied once.
Status Migrate(Connection& connection, const std::vector<Migration>& migrations);

}  // namespace taskmint::datasets::sqlite

#endif  // TASKMINT_DATASETS_SQLITE_MIGRATION_H_
