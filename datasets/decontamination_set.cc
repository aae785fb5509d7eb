#include "datasets/decontamination_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kSetLineBytesMax = 16 << 20;
constexpr std::string_view kBlanks = " \t\r\n";

// What the file is instead of text; empty when it may be text.
std::string ForeignForm(std::string_view bytes) {
  using std::string_view_literals::operator""sv;
  const auto is = [bytes](std::string_view magic) { return bytes.starts_with(magic); };
  if (is("\x1F\x8B") || is("\x28\xB5\x2F\xFD") || is("BZh") ||
      is("\xFD"
         "7zXZ") ||
      is("PK\x03\x04")) {
    return "it is compressed: unpack it first";
  }
  if (is("PAR1")) return "it is a Parquet file: give its rows as JSON, one object a line";
  const size_t bracket = bytes.find_first_not_of(kBlanks);
  if (bracket != std::string_view::npos && bytes[bracket] == '[') {
    const size_t inside = bytes.find_first_not_of(kBlanks, bracket + 1);
    if (inside != std::string_view::npos && bytes[inside] == '{') {
      return "it is one JSON array: give one object a line (jq -c '.[]' does it)";
    }
  }
  return "";
}

std::string WhyUnreadable(std::string_view line) {
  if (line.size() > kSetLineBytesMax) return "longer than 16 MiB";
  if (line.find('\0') != std::string_view::npos) return "it holds a NUL byte: this is no text";
  return IsUtf8(line) ? "" : "not UTF-8";
}

// A field that is text, null or absent; nothing when it is something else.
std::optional<std::string> TextField(const nlohmann::json& row, const char* field) {
  const auto found = row.find(field);
  if (found == row.end() || found->is_null()) return "";
  if (!found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

Result<DecontaminationDocument> RowOf(std::string_view line) {
  const auto refuse = [](const std::string& why) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, why);
  };
  const auto row = ParseJson(line);
  if (!row.ok()) return row.status();
  if (!row->is_object()) return refuse("not a JSON object");
  DecontaminationDocument document;
  for (const auto& [field, target] :
       {std::pair{"instance_id", &document.id}, std::pair{"problem_statement", &document.text},
        std::pair{"patch", &document.patch}}) {
    auto text = TextField(*row, field);
    if (!text) return refuse(std::string(field) + " is not text");
    *target = *std::move(text);
  }
  const auto blank = [](const std::string& text) {
    return text.find_first_not_of(kBlanks) == std::string::npos;
  };
  if (blank(document.text) && blank(document.patch)) {
    return refuse(
        "neither problem_statement nor patch: a SWE-bench row has instance_id, problem_statement "
        "and patch");
  }
  return document;
}

}  // namespace

Status ReadDecontaminationSet(std::string_view bytes, const std::string& name,
                              const std::function<bool(const DecontaminationDocument&)>& each) {
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, name + ": " + why);
  };
  if (const std::string form = ForeignForm(bytes); !form.empty()) return refuse(form);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  int64_t line_number = 0;
  const auto refuse_line = [&](const std::string& why) {
    return Status(Code::kInvalidArgument, Boundary::kConfig,
                  name + ":" + std::to_string(line_number) + ": " + why);
  };
  std::optional<bool> rows;
  while (!bytes.empty()) {
    ++line_number;
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) continue;
    line = line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1);
    if (const std::string why = WhyUnreadable(line); !why.empty()) return refuse_line(why);
    // Text may begin with a brace, JSON goes on with a quote or ends.
    if (!rows) {
      const size_t inside = line.front() == '{' ? line.find_first_not_of(kBlanks, 1) : 0;
      rows = line.front() == '{' && inside != std::string_view::npos &&
             (line[inside] == '"' || line[inside] == '}');
    }
    DecontaminationDocument document;
    if (*rows) {
      auto row = RowOf(line);
      if (!row.ok()) return refuse_line(row.status().message());
      document = *std::move(row);
    } else {
      document.text = std::string(line);
    }
    if (document.id.empty()) document.id = std::to_string(line_number);
    if (!each(document)) return OkStatus();
  }
  if (!rows) return refuse("it holds no document: give SWE-bench rows, or a text a line");
  return OkStatus();
}

}  // namespace taskmint::datasets
