// ParseIssues: GitHub's REST v3 issues and pulls, record by record.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "environments/repository/candidate.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr int kArrayDepthMax = 3;
constexpr size_t kBodyBytesMax = 256 << 10;

std::string TextOf(const json& record, const char* key) {
  const auto it = record.find(key);
  if (it == record.end() || !it->is_string()) return "";
  const auto& text = it->get_ref<const std::string&>();
  return ToUtf8(std::string_view(text).substr(0, kBodyBytesMax));
}

std::string ShaOf(const json& record, const char* key) {
  std::string sha = TextOf(record, key);
  const bool valid = sha.size() == 40 && std::all_of(sha.begin(), sha.end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  return valid ? sha : "";
}

// GitHub fills merge_commit_sha of an unmerged pull request with a trial merge.
bool IsUnmerged(const json& record) {
  const auto it = record.find("merged_at");
  return it != record.end() && it->is_null();
}

// One text, taken apart into its objects: an array, lines, several arrays one after another (as
// paged downloads leave them), or arrays of arrays. Only one record is held as JSON at a time.
class IssueParser {
 public:
  explicit IssueParser(std::string_view text) : text_(text) {}

  Result<std::vector<IssueRecord>> Parse() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    for (SkipSpace(); at_ < text_.size(); SkipSpace()) {
      TASKMINT_RETURN_IF_ERROR(text_[at_] == '[' ? ParseArray(1) : ParseObject());
    }
    if (objects_ > 0 && records_.empty()) {
      return Status(Code::kInvalidArgument, Boundary::kConfig,
                    "none of the issues file's " + std::to_string(objects_) +
                        " records has a number: it must hold issues or pulls as GitHub's REST v3 " +
                        "lists them");
    }
    std::vector<IssueRecord> records;
    for (auto& [number, record] : records_) records.push_back(std::move(record));
    return records;
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' ||
                                  text_[at_] == '\r' || text_[at_] == '\x1e')) {
      ++at_;
    }
  }

  Status Bad(size_t where, const std::string& what) const {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(where), '\n');
    return {Code::kInvalidArgument, Boundary::kConfig,
            "the issues file is not JSON at line " + std::to_string(line) + ": " + what +
                "; it must hold a JSON array or one object a line"};
  }

  Status ParseArray(int depth) {
    const size_t begin = at_++;
    if (depth > kArrayDepthMax) return Bad(begin, "arrays nest too deep");
    for (bool first = true;; first = false) {
      SkipSpace();
      if (first && at_ < text_.size() && text_[at_] == ']') break;
      if (at_ >= text_.size()) return Bad(begin, "this array does not end");
      TASKMINT_RETURN_IF_ERROR(text_[at_] == '[' ? ParseArray(depth + 1) : ParseObject());
      SkipSpace();
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        continue;
      }
      if (at_ < text_.size() && text_[at_] == ']') break;
      if (at_ >= text_.size()) return Bad(begin, "this array does not end");
      return Bad(at_, "a comma or ] is missing");
    }
    ++at_;
    return OkStatus();
  }

  Status ParseObject() {
    if (text_[at_] != '{') return Bad(at_, "an object is expected");
    const size_t begin = at_;
    int depth = 0;
    bool in_string = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (in_string) {
        if (c == '\\') ++at_;
        if (c == '"') in_string = false;
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{') {
        ++depth;
      } else if (c == '}' && --depth == 0) {
        ++at_;
        return TakeObject(begin, text_.substr(begin, at_ - begin));
      }
    }
    at_ = text_.size();
    return Bad(begin, "this object does not end");
  }

  Status TakeObject(size_t begin, std::string_view text) {
    const Result<json> parsed = ParseJson(text);
    if (!parsed.ok()) return Bad(begin, parsed.status().message());
    ++objects_;
    const json& object = *parsed;
    const auto number = object.find("number");
    if (number == object.end() || !number->is_number_integer() || *number <= 0 ||
        *number > int64_t{1} << 40) {
      return OkStatus();
    }
    // The same number may come from the list of issues and from the list of pulls.
    IssueRecord& record = records_[number->get<int64_t>()];
    record.number = number->get<int64_t>();
    const auto fill = [](std::string& field, std::string value) {
      if (!value.empty()) field = std::move(value);
    };
    fill(record.title, TextOf(object, "title"));
    fill(record.body, TextOf(object, "body"));
    const auto pull = object.find("pull_request");
    const auto head = object.find("head");
    const bool from_issues = pull != object.end() && pull->is_object();
    if (from_issues || object.contains("merge_commit_sha") ||
        (head != object.end() && head->is_object())) {
      record.is_pull_request = true;
    }
    if (!IsUnmerged(object)) fill(record.merge_commit_sha, ShaOf(object, "merge_commit_sha"));
    if (head != object.end() && head->is_object()) fill(record.head_sha, ShaOf(*head, "sha"));
    return OkStatus();
  }

  std::string_view text_;
  size_t at_ = 0;
  int64_t objects_ = 0;
  std::map<int64_t, IssueRecord> records_;
};

}  // namespace

Result<std::vector<IssueRecord>> ParseIssues(std::string_view text) {
  return IssueParser(text).Parse();
}

}  // namespace taskmint::environments
