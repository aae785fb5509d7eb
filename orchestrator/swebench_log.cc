#include "orchestrator/swebench_log.h"

#include <algorithm>
#include <vector>

namespace taskmint::orchestrator {
namespace {

constexpr std::string_view kStart = ">>>>> Start Test Output";
constexpr std::string_view kEnd = ">>>>> End Test Output";
constexpr std::string_view kExitCode = ">>>>> Test Exit Code:";
constexpr std::string_view kCameToNothing[] = {">>>>> Patch Apply Failed", ">>>>> Reset Failed",
                                               ">>>>> Tests Errored", ">>>>> Tests Timed Out"};
constexpr std::string_view kStatuses[] = {"PASSED", "FAILED", "SKIPPED", "ERROR", "XFAIL"};

bool Holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The first two words of a line, with " - " as a space.
std::pair<std::string, std::string> StatusAndId(std::string_view line) {
  std::vector<std::string> words;
  const bool failed = line.starts_with("FAILED");
  std::string word;
  for (size_t i = 0; i <= line.size() && words.size() < 2; ++i) {
    const bool dash = failed && i < line.size() && line.substr(i).starts_with(" - ");
    const bool space = i == line.size() || line[i] == ' ' || (line[i] >= '\t' && line[i] <= '\r');
    if (!space) {
      word += line[i];
      continue;
    }
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
    if (dash) i += 2;
  }
  words.resize(2);
  return {words[0], words[1]};
}

bool IsCount(std::string_view word) {
  return word.size() > 2 && word.front() == '[' && word.back() == ']' &&
         std::all_of(word.begin() + 1, word.end() - 1, [](char c) { return c >= '0' && c <= '9'; });
}

std::map<std::string, std::string> StatusLines(std::string_view text) {
  std::map<std::string, std::string> statuses;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto begins = [&](std::string_view status) { return line.starts_with(status); };
    if (std::none_of(std::begin(kStatuses), std::end(kStatuses), begins)) continue;
    auto [status, id] = StatusAndId(line);
    if (id.empty() || (status == "SKIPPED" && IsCount(id))) continue;
    statuses[id] = status;
  }
  return statuses;
}

// Whether the log names an exit code other than 0.
bool EndsBadly(std::string_view log) {
  size_t at = log.find(kExitCode);
  if (at == std::string_view::npos) return false;
  at += kExitCode.size();
  while (at < log.size() && (log[at] == ' ' || log[at] == '\n' || log[at] == '\t')) ++at;
  if (at < log.size() && log[at] == '-') ++at;
  bool digits = false, other = false;
  for (; at < log.size() && log[at] >= '0' && log[at] <= '9'; ++at) {
    digits = true;
    other = other || log[at] != '0';
  }
  return digits && other;
}

}  // namespace

SwebenchLog ReadSwebenchLog(std::string_view log) {
  SwebenchLog read;
  for (const std::string_view mark : kCameToNothing) {
    if (Holds(log, mark)) return read;
  }
  const size_t start = log.find(kStart);
  if (start == std::string_view::npos || !Holds(log, kEnd)) return read;
  std::string_view part = log.substr(start + kStart.size());
  part = part.substr(0, part.find(kStart));
  part = part.substr(0, part.find(kEnd));
  read.statuses = StatusLines(part);
  if (read.statuses.empty()) read.statuses = StatusLines(log);
  const bool failure = std::any_of(
      read.statuses.begin(), read.statuses.end(),
      [](const auto& test) { return test.second == "FAILED" || test.second == "ERROR"; });
  read.valid = !read.statuses.empty() && (failure || !EndsBadly(log));
  return read;
}

}  // namespace taskmint::orchestrator
