// FindReferences: the issues and pull requests that a text names.
#include <re2/re2.h>

#include <set>
#include <string>

#include "environments/repository/prompt_cleaning.h"
#include "environments/repository/prompt_patterns.h"

namespace taskmint::environments {
namespace {

// The numbers in every match of `pattern` that `seen` does not hold yet.
void Collect(const std::string& text, const RE2& pattern, std::set<int64_t>& seen,
             std::vector<int64_t>& numbers) {
  static const RE2 kNumber("(?i)" +
                           AnyOf({"^", R"([^\w/])", "gh-", "issues?", "bugs?", "tickets?",
                                  "/issues/", "/pulls?/", "/merge_requests/"}) +
                           R"((?:\s|#|:|-)*(\d{1,9})\b)");
  re2::StringPiece rest(text);
  std::string match;
  while (RE2::FindAndConsume(&rest, pattern, &match)) {
    re2::StringPiece inside(match);
    std::string digits;
    while (RE2::FindAndConsume(&inside, kNumber, &digits)) {
      const int64_t number = std::stoll(digits);
      if (number > 0 && seen.insert(number).second) numbers.push_back(number);
    }
  }
}

}  // namespace

IssueReferences FindReferences(std::string_view text) {
  static const RE2 kClosing(R"((?i)\b(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?)\b:?\s+()" +
                            ReferencesPattern() + ")");
  static const RE2 kMentioned(
      "(?i)(" +
      AnyOf({R"(\((?:#|gh-)\d+\))", R"(^\[?#\d+\]?[:\s])", R"(\bgh-\d+\b)",
             R"(\b(?:issue|bug|ticket)s?[ :#-]*\d+)", R"(\bpull request #\d+)"}) +
      ")");
  const std::string decoded = DecodedText(text);
  IssueReferences references;
  std::set<int64_t> seen;
  Collect(decoded, kClosing, seen, references.closed);
  Collect(decoded, kMentioned, seen, references.mentioned);
  return references;
}

}  // namespace taskmint::environments
