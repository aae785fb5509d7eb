#include "datasets/repository_list.h"

#include <algorithm>
#include <unordered_set>

#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kListBytesMax = 1 << 20;
constexpr size_t kLineBytesMax = 4'096;
constexpr std::string_view kSpace = " \t\r";

// The source in a line, empty when there is none.
std::string_view SourceIn(std::string_view line) {
  size_t hash = line.find('#');
  while (hash != std::string_view::npos && hash > 0 &&
         kSpace.find(line[hash - 1]) == std::string_view::npos) {
    hash = line.find('#', hash + 1);
  }
  line = line.substr(0, hash);
  const size_t begin = line.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kSpace) - begin + 1);
}

std::string WhyUnusable(std::string_view source) {
  if (source.size() > kLineBytesMax) return "longer than 4,096 bytes";
  if (!IsUtf8(source)) return "not UTF-8";
  if (source.front() == '-') return "a source cannot start with '-'";
  const bool controls = std::any_of(source.begin(), source.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  return controls ? "control characters in a source" : "";
}

}  // namespace

Result<std::vector<std::string>> ParseRepositoryList(std::string_view bytes,
                                                     const std::string& name) {
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, name + why);
  };
  if (bytes.size() > kListBytesMax) return refuse(": larger than 1 MiB");
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  std::vector<std::string> sources;
  std::unordered_set<std::string> seen;
  int64_t line_number = 0;
  while (!bytes.empty()) {
    ++line_number;
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::string_view source = SourceIn(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (source.empty()) continue;
    if (const std::string why = WhyUnusable(source); !why.empty()) {
      return refuse(":" + std::to_string(line_number) + ": " + why);
    }
    if (seen.insert(std::string(source)).second) sources.emplace_back(source);
  }
  if (sources.empty()) return refuse(" names no repository: give a path, URL or bundle a line");
  return sources;
}

}  // namespace taskmint::datasets
