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

// What an expression may call: nothing that writes, loads, allocates at will or looks outside, and
// nothing that takes the product of two lengths (instr, replace, trim): within one call nobody asks
// for the time.
constexpr std::array<std::string_view, 33> kFunctions = {
    "abs",       "avg",          "coalesce",   "count",     "date",    "datetime", "glob",
    "hex",       "ifnull",       "iif",        "julianday", "length",  "like",     "lower",
    "max",       "min",          "nullif",     "round",     "sign",    "substr",   "strftime",
    "substring", "sum",          "time",       "total",     "typeof",  "unicode",  "unixepoch",
    "upper",     "json_extract", "json_valid", "likely",    "unlikely"};

constexpr std::string_view kColumns =
    "id, category, language, source, commit, kept, reason, prompt, licence, fail_to_pass, "
    "error_to_pass, pass_to_pass, mutation_score, created_ms, run, position";
constexpr std::string_view kColumnsWithoutCommit =
    "id, category, language, source, kept, reason, prompt, licence, fail_to_pass, error_to_pass, "
    "pass_to_pass, mutation_score, created_ms";
constexpr const char* kCommitHidden =
    "the commit of a fix, and its place in a run, are only for callers that may see solutions";

// What may be read, and what was refused first.
struct Permission {
  bool commits = true;
  std::string refused;
};

// The place in a run is the order of digests of a history's commits: it tells which one it is.
bool NamesCommit(std::string_view name) {
  const std::string lower = LowerCase(std::string(name));
  return lower == "commit" || lower == "commit_sha" || lower == "run" || lower == "position";
}

int Authorize(void* permission, int action, const char* first, const char* second, const char*,
              const char* view) {
  const auto is = [](const char* text, std::string_view other) {
    return text != nullptr && text == other;
  };
  auto& given = *static_cast<Permission*>(permission);
  bool allowed = false;
  bool hidden = false;
  if (action == SQLITE_SELECT) {
    allowed = true;
  } else if (action == SQLITE_READ) {
    // The view itself, and what the view reads.
    hidden = !given.commits && is(first, "task_view") && second != nullptr && NamesCommit(second);
    allowed =
        !hidden && (is(first, "task_view") ||
                    (is(view, "task_view") && (is(first, "candidates") || is(first, "runs"))));
  } else if (action == SQLITE_FUNCTION) {
    allowed = second != nullptr &&
              std::find(kFunctions.begin(), kFunctions.end(), second) != kFunctions.end();
  }
  if (allowed) return SQLITE_OK;
  std::string& what = given.refused;
  if (!what.empty()) return SQLITE_DENY;
  constexpr const char* kNotAllowed = " is not allowed in a filter";
  if (hidden) {
    what = kCommitHidden;
  } else if (action == SQLITE_FUNCTION && second != nullptr) {
    what = "the function " + std::string(second) + kNotAllowed;
  } else if (action == SQLITE_READ && first != nullptr) {
    what = "reading " + std::string(first) + kNotAllowed;
  } else {
    what = std::string("what this expression does") + kNotAllowed;
  }
  return SQLITE_DENY;
}

struct Patience {
  std::chrono::steady_clock::time_point end;
  std::stop_token stop;
};

int CheckPatience(void* patience) {
  const auto& left = *static_cast<const Patience*>(patience);
  return left.stop.stop_requested() || std::chrono::steady_clock::now() > left.end ? 1 : 0;
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
// the expression is put into, and no WITH may give the view's name to another table. SQLite
// compares the columns of USING and NATURAL without asking the authorizer, of any table.
Expression Rewrite(const std::string& where, bool commits) {
  Expression expression;
  int depth = 0;
  for (size_t i = 0; i < where.size();) {
    size_t end = EndOfOpaque(where, i);
    if (end > i) {
      const bool name = where[i] == '"' || where[i] == '`' || where[i] == '[';
      if (!commits && name && NamesCommit(std::string_view(where).substr(i + 1, end - i - 2))) {
        expression.wrong = kCommitHidden;
      }
      expression.sql.append(where, i, end - i);
    } else if (IsWordByte(where[i])) {
      while (end < where.size() && IsWordByte(where[end])) ++end;
      const std::string word = where.substr(i, end - i);
      for (const char* keyword : {"WITH", "USING", "NATURAL"}) {
        if (sqlite3_stricmp(word.c_str(), keyword) != 0) continue;
        expression.wrong = std::string(keyword) + " is not allowed in a filter";
      }
      if (!commits && NamesCommit(word)) expression.wrong = kCommitHidden;
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

Status Refuse(const std::string& where, const std::string& why, bool commits = true) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          "--where '" + Printable(where.substr(0, 200)) + "': " + Printable(why) +
              "; it is an SQLite expression over " +
              std::string(commits ? kColumns : kColumnsWithoutCommit)};
}

void Confine(sqlite3* database, Permission* permission, Patience* patience) {
  sqlite3_limit(database, SQLITE_LIMIT_LENGTH, kValueBytesMax);
  sqlite3_limit(database, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kLikePatternBytesMax);
  sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(database, SQLITE_LIMIT_EXPR_DEPTH, 200);
  sqlite3_limit(database, SQLITE_LIMIT_COMPOUND_SELECT, 10);
  sqlite3_set_authorizer(database, Authorize, permission);
  sqlite3_progress_handler(database, kStepsPerCheck, CheckPatience, patience);
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
                                         int64_t wall_ms_max, const FilterBounds& bounds) {
  if (where.size() > kWhereBytesMax) return Refuse(where, "longer than 10,000 bytes");
  if (where.find('\0') != std::string::npos) return Refuse(where, "it holds a NUL byte");
  const sqlite::Access reading =
      access == sqlite::Access::kImmutable ? access : sqlite::Access::kReadOnly;
  TASKMINT_ASSIGN_OR_RETURN(auto connection, sqlite::Connection::Open(path, reading));
  sqlite3* const database = connection->handle();

  const bool commits = bounds.commits;
  Permission permission{commits, ""};
  Patience patience{std::chrono::steady_clock::now() + std::chrono::milliseconds(wall_ms_max),
                    bounds.stop};
  Confine(database, &permission, &patience);
  const char* const kept = which == Store::Which::kAll    ? "kept IN (0, 1)"
                           : which == Store::Which::kKept ? "kept = 1"
                                                          : "kept = 0";
  const bool all = where.find_first_not_of(" \t\r\n") == std::string::npos;
  const Expression expression = Rewrite(where, commits);
  if (!expression.wrong.empty()) return Refuse(where, expression.wrong, commits);
  // The line break ends a comment that the expression may end with.
  const std::string sql =
      "SELECT id, category, language, source, " + std::string(commits ? "commit_sha" : "''") +
      ", kept, reason FROM (SELECT " +
      (commits ? std::string("*") : std::string(kColumnsWithoutCommit)) + " FROM task_view WHERE " +
      kept + ")" + (all ? std::string() : " WHERE (" + expression.sql + "\n)") +
      " ORDER BY kept DESC, source, " + (commits ? "run, position" : "id");

  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  int code = sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &raw, &tail);
  const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
  if (!permission.refused.empty()) return Refuse(where, permission.refused, commits);
  if (code == SQLITE_OK && tail != nullptr && std::strspn(tail, " \n") != std::strlen(tail)) {
    return Refuse(where, "it is more than one expression", commits);
  }
  if ((code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_TOOBIG) {
    return Refuse(where, sqlite3_errmsg(database), commits);
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
    if (bounds.stop.stop_requested()) {
      return Status(Code::kCancelled, Boundary::kNone, "nobody waits for the list any more");
    }
    return Refuse(where, "it takes longer than " + std::to_string(wall_ms_max) + " ms", commits);
  }
  const bool of_the_expression = (code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_TOOBIG ||
                                 (code & 0xff) == SQLITE_MISMATCH;
  if (of_the_expression && !all) return Refuse(where, sqlite3_errmsg(database), commits);
  return sqlite::StatusFromSqlite(database, code, path);
}

}  // namespace taskmint::datasets
