#include "verifier/answer_windows.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace taskmint::verifier {
namespace {

using environments::PathRole;
using Lines = std::vector<std::string_view>;

constexpr size_t kWindowLines = 3;
constexpr size_t kWindowBytesMin = 24;
constexpr size_t kWindowsMin = 3;
constexpr size_t kLineBytesMin = 20;
constexpr size_t kAnchorsMax = 2000;

std::string_view Strip(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t\r\f\v");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r\f\v") - begin + 1);
}

Lines LinesOf(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (const std::string_view line = Strip(text.substr(0, end)); !line.empty()) {
      lines.push_back(line);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

size_t WindowCount(const Lines& lines) {
  return lines.size() < kWindowLines ? 0 : lines.size() - kWindowLines + 1;
}

// 0 for a window too short to tell anything.
uint64_t WindowHash(const Lines& lines, size_t at) {
  size_t bytes = 0;
  uint64_t hash = 0;
  for (size_t i = at; i < at + kWindowLines; ++i) {
    bytes += lines[i].size();
    hash = hash * 0x9E3779B97F4A7C15U + std::hash<std::string_view>{}(lines[i]) + 1;
  }
  return bytes < kWindowBytesMin ? 0 : hash;
}

std::string NamePattern(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? std::string(name)
                                                   : "*" + std::string(name.substr(dot));
}

}  // namespace

AnswerWindows::AnswerWindows(const environments::LanguageDriver& driver,
                             const FileTree& parent_tree, const FileTree& gold_tree) {
  std::vector<std::vector<std::string>> anchors_of_files;
  for (const auto& [path, entry] : gold_tree.files()) {
    if (entry.kind == FileEntry::Kind::kSymlink) continue;
    const FileEntry* before = parent_tree.Find(path);
    if (before != nullptr && before->content == entry.content) continue;
    if (driver.RoleOf(path) != PathRole::kSource) continue;
    const Lines old_lines = before == nullptr ? Lines() : LinesOf(*before->content);
    const Lines lines = LinesOf(*entry.content);
    Windows known;
    for (size_t i = 0; i < WindowCount(old_lines); ++i) known.insert(WindowHash(old_lines, i));
    const std::set<std::string_view> old_set(old_lines.begin(), old_lines.end());
    for (const std::string_view line : lines) {
      if (line.size() >= kLineBytesMin && old_set.count(line) == 0) added_lines_.emplace(line);
    }
    Windows windows;
    std::vector<std::string> anchors;
    for (size_t i = 0; i < WindowCount(lines); ++i) {
      const uint64_t hash = WindowHash(lines, i);
      if (hash == 0 || known.count(hash) > 0 || !windows.insert(hash).second) continue;
      // A new line is rarer than any old one; a deletion has none.
      std::string_view anchor;
      for (size_t j = i; j < i + kWindowLines; ++j) {
        const bool fresh = old_set.count(lines[j]) == 0;
        const bool anchor_fresh = !anchor.empty() && old_set.count(anchor) == 0;
        if (fresh != anchor_fresh ? fresh : lines[j].size() > anchor.size()) anchor = lines[j];
      }
      anchors.emplace_back(anchor);
    }
    if (windows.empty()) continue;
    anchors_of_files.push_back(std::move(anchors));
    files_.push_back(std::move(windows));
    name_patterns_.insert(NamePattern(path));
  }
  // Few enough to search for, and of every file some, from its beginning to its end.
  const size_t share = std::max<size_t>(5, kAnchorsMax / std::max<size_t>(1, files_.size()));
  for (std::vector<std::string>& anchors : anchors_of_files) {
    const size_t taken = std::min(share, anchors.size());
    for (size_t i = 0; i < taken; ++i) {
      anchors_.insert(std::move(anchors[i * anchors.size() / taken]));
    }
  }
}

size_t AnswerWindows::size() const {
  size_t count = 0;
  for (const Windows& windows : files_) count += windows.size();
  return count;
}

double AnswerWindows::Share(std::string_view text) const {
  const Lines lines = LinesOf(text);
  Windows seen;
  for (size_t i = 0; i < WindowCount(lines); ++i) seen.insert(WindowHash(lines, i));
  double share = 0;
  for (const Windows& windows : files_) {
    const auto found = static_cast<size_t>(std::count_if(
        windows.begin(), windows.end(), [&](uint64_t hash) { return seen.count(hash) > 0; }));
    if (found < std::min(kWindowsMin, windows.size())) continue;
    share = std::max(share, static_cast<double>(found) / static_cast<double>(windows.size()));
  }
  return share;
}

double AnswerWindows::ShareOfLines(std::string_view text) const {
  if (added_lines_.empty()) return 0;
  const auto found = std::count_if(
      added_lines_.begin(), added_lines_.end(),
      [&](const std::string& line) { return text.find(line) != std::string_view::npos; });
  return static_cast<double>(found) / static_cast<double>(added_lines_.size());
}

bool AnswerWindows::MatchesName(std::string_view path) const {
  return name_patterns_.count(NamePattern(path)) > 0;
}

}  // namespace taskmint::verifier
