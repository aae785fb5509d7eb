#include "datasets/task_filter.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string_view>

#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr int kWhereBytesMax = 10'000;
constexpr int kValueBytesMax = 16 << 20;
constexpr int kLikePatternBytesMax = 200;
constexpr int kStepsPerCheck = 10'000;

// What an expression may call: nothing that writes, loads, allocates at will or looks outside.
constexpr std::array<std::string_view, 38> kFunctions = {
    "abs",    "avg",      "coalesce", "count",     "date",      "datetime",     "glob",
    "hex",    "ifnull",   "iif",      "instr",     "julianday", "length",       "like",
    "lower",  "ltrim",    "max",      "min",       "nullif",    "round",        "rtrim",
    "sign",   "strftime", "substr",   "substring", "sum",       "time",         "total",
    "trim",   "typeof",   "unicode",  "unixepoch", "upper",     "json_extract", "json_valid",
    "likely", "unlikely", "replace"};

int Authorize(void* refused, int action, const char* first, const char* second, const char*,
              const char* view) {
  const auto is = [](const char* text, std::string_view other) {
    return text != nullptr && text == other;
  };
  bool allowed = false;
  if (action == SQLITE_SELECT) {
    allowed = true;
  } else if (action == SQLITE_READ) {
    // The view itself, and what the view reads.
    allowed = is(first, "task_view") ||
              (is(view, "task_view") && (is(first, "candidates") || is(first, "runs")));
  } else if (action == SQLITE_FUNCTION) {
    allowed = second != nullptr &&
              std::find(kFunctions.begin(), kFunctions.end(), second) != kFunctions.end();
  }
  if (allowed) return SQLITE_OK;
  auto& what = *static_cast<std::string*>(refused);
  if (!what.empty()) return SQLITE_DENY;
  if (action == SQLITE_FUNCTION && second != nullptr) {
    what = "the function " + std::string(second);
  } else if (action == SQLITE_READ && first != nullptr) {
    what = "reading " + std::string(first);
  } else {
    what = "what this expression does";
  }
  return SQLITE_DENY;
}

int CheckDeadline(void* deadline) {
  const auto end = *static_cast<const std::chrono::steady_clock::time_point*>(deadline);
  return std::chrono::steady_clock::now() > end ? 1 : 0;
}

bool IsWordByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0 || c == '_' || c == '$';
}

// The end of what begins at `begin` and is no code: quoted text, a comment. `begin` where it is
// code.
size_t EndOfOpaque(const std::string& where, size_t begin) {
  const auto after = [&](std::string_view end) {
    const size_t at = where.find(end, begin + end.size());
    return at == std::string::npos ? where.size() : at + end.size();
  };
  const char c = where[begin];
  if (c == '\'' || c == '"' || c == '`') return after(std::string_view(&where[begin], 1));
  if (c == '[') return after("]");
  if (where.compare(begin, 2, "--") == 0) return std::min(where.find('\n', begin), where.size());
  if (where.compare(begin, 2, "/*") == 0) return after("*/");
  return begin;
}

// An expression as it can be put between parentheses.
struct Expression {
  std::string sql;
  std::string wrong;  // why it is refused, empty when it is not
};

// `commit` is a word of SQL's own; here it names the column. Nothing may close the parenthesis that
// the expression is put into, and no WITH may give the view's name to another table.
Expression Rewrite(const std::string& where) {
  Expression expression;
  int depth = 0;
  for (size_t i = 0; i < where.size();) {
    size_t end = EndOfOpaque(where, i);
    if (end > i) {
      expression.sql.append(where, i, end - i);
    } else if (IsWordByte(where[i])) {
      while (end < where.size() && IsWordByte(where[end])) ++end;
      const std::string word = where.substr(i, end - i);
      if (sqlite3_stricmp(word.c_str(), "with") == 0) {
        expression.wrong = "WITH is not allowed in a filter";
      }
      expression.sql += sqlite3_stricmp(word.c_str(), "commit") == 0 ? "\"commit\"" : word;
    } else {
      end = i + 1;
      depth += where[i] == '(' ? 1 : where[i] == ')' ? -1 : 0;
      if (depth < 0) expression.wrong = "a ) that nothing opens";
      expression.sql += where[i];
    }
    i = end;
  }
  return expression;
}

Status Refuse(const std::string& where, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          "--where '" + Printable(where.substr(0, 200)) + "': " + Printable(why) +
              "; it is an SQLite expression over id, category, language, source, commit, kept, "
              "reason, prompt, licence, fail_to_pass, error_to_pass, pass_to_pass, "
              "mutation_score, created_ms, run and position"};
}

void Confine(sqlite3* database, std::string* refused,
             std::chrono::steady_clock::time_point* deadline) {
  sqlite3_limit(database, SQLITE_LIMIT_LENGTH, kValueBytesMax);
  sqlite3_limit(database, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kLikePatternBytesMax);
  sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(database, SQLITE_LIMIT_EXPR_DEPTH, 200);
  sqlite3_limit(database, SQLITE_LIMIT_COMPOUND_SELECT, 10);
  sqlite3_set_authorizer(database, Authorize, refused);
  sqlite3_progress_handler(database, kStepsPerCheck, CheckDeadline, deadline);
}

// A statement that finalizes itself before its connection closes.
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

std::string Column(sqlite3_stmt* statement, int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
  const int size = sqlite3_column_bytes(statement, column);
  return data == nullptr ? std::string() : std::string(data, static_cast<size_t>(size));
}

}  // namespace

Result<std::vector<ListRow>> FilterTasks(const std::string& path, sqlite::Access access,
                                         Store::Which which, const std::string& where,
                                         int64_t wall_ms_max) {
  if (where.size() > kWhereBytesMax) return Refuse(where, "longer than 10,000 bytes");
  if (where.find('\0') != std::string::npos) return Refuse(where, "it holds a NUL byte");
  const sqlite::Access reading =
      access == sqlite::Access::kImmutable ? access : sqlite::Access::kReadOnly;
  TASKMINT_ASSIGN_OR_RETURN(auto connection, sqlite::Connection::Open(path, reading));
  sqlite3* const database = connection->handle();

  std::string refused;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wall_ms_max);
  Confine(database, &refused, &deadline);
  const char* const kept = which == Store::Which::kAll    ? "kept IN (0, 1)"
                           : which == Store::Which::kKept ? "kept = 1"
                                                          : "kept = 0";
  const bool all = where.find_first_not_of(" \t\r\n") == std::string::npos;
  const Expression expression = Rewrite(where);
  if (!expression.wrong.empty()) return Refuse(where, expression.wrong);
  // The line break ends a comment that the expression may end with.
  const std::string sql =
      "SELECT id, category, language, source, commit_sha, kept, reason FROM (SELECT * FROM "
      "task_view WHERE " +
      std::string(kept) + ")" + (all ? std::string() : " WHERE (" + expression.sql + "\n)") +
      " ORDER BY kept DESC, source, run, position";

  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  int code = sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &raw, &tail);
  const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
  if (!refused.empty()) return Refuse(where, refused + " is not allowed in a filter");
  if (code == SQLITE_OK && tail != nullptr && std::strspn(tail, " \n") != std::strlen(tail)) {
    return Refuse(where, "it is more than one expression");
  }
  if ((code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_TOOBIG) {
    return Refuse(where, sqlite3_errmsg(database));
  }
  if (code != SQLITE_OK) return sqlite::StatusFromSqlite(database, code, path);

  std::vector<ListRow> rows;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
    ListRow row;
    row.id = Column(raw, 0);
    row.category = Column(raw, 1);
    row.language = Column(raw, 2);
    row.source = Column(raw, 3);
    row.commit = Column(raw, 4);
    row.kept = sqlite3_column_int(raw, 5) != 0;
    row.reason = Column(raw, 6);
    rows.push_back(std::move(row));
  }
  if (code == SQLITE_DONE) return rows;
  if (code == SQLITE_INTERRUPT) {
    return Refuse(where, "it takes longer than " + std::to_string(wall_ms_max) + " ms");
  }
  const bool of_the_expression = (code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_TOOBIG ||
                                 (code & 0xff) == SQLITE_MISMATCH;
  if (of_the_expression && !all) return Refuse(where, sqlite3_errmsg(database));
  return sqlite::StatusFromSqlite(database, code, path);
}

}  // namespace taskmint::datasets
