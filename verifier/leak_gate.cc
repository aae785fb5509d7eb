#include <algorithm>
#include <cctype>

#include "proto/base/utf8.h"
#include "verifier/answer_windows.h"
#include "verifier/evidence.h"
#include "verifier/gate.h"

namespace taskmint::verifier {
namespace {

using environments::Proposal;

constexpr double kLeakingShare = 0.6;
constexpr int64_t kFileBytesMax = 4 << 20;
constexpr size_t kFilesMax = 5000;
constexpr int64_t kHuntWallMsMax = 120'000;

// A stretch of at least seven hex digits that begins the fix's SHA.
bool HoldsSha(std::string_view text, std::string_view sha) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin;
    std::string digits;
    while (end < text.size() && std::isxdigit(static_cast<unsigned char>(text[end])) != 0) {
      digits += static_cast<char>(std::tolower(static_cast<unsigned char>(text[end++])));
    }
    if (digits.size() >= 7 && (sha.starts_with(digits) || digits.starts_with(sha))) return true;
    begin = end + 1;
  }
  return false;
}

// A link to the pull request `number`: ".../pull/123".
bool HoldsPullLink(std::string_view text, int64_t number) {
  for (const std::string_view kind : {"/pull/", "/pulls/", "/merge_requests/"}) {
    const std::string link = std::string(kind) + std::to_string(number);
    for (size_t at = text.find(link); at != std::string_view::npos; at = text.find(link, at + 1)) {
      const size_t end = at + link.size();
      if (end == text.size() || std::isdigit(static_cast<unsigned char>(text[end])) == 0) {
        return true;
      }
    }
  }
  return false;
}

std::string CheckPrompt(const Proposal& proposal, const AnswerWindows& answer) {
  const std::string& text = proposal.prompt.text();
  if (HoldsSha(text, proposal.commit.sha)) return "the prompt names the fix's commit";
  std::vector<int64_t> numbers = proposal.issue_numbers;
  if (proposal.prompt.source() == v1::Prompt::SOURCE_PULL_REQUEST) {
    numbers.push_back(proposal.prompt.number());
  }
  for (const int64_t number : numbers) {
    if (number > 0 && HoldsPullLink(text, number)) return "the prompt links to the fix";
  }
  if (answer.Share(text) >= kLeakingShare || answer.ShareOfLines(text) >= kLeakingShare) {
    return "the prompt holds the lines that the fix adds";
  }
  return "";
}

// Compares one file with the answer and remembers the largest share.
struct Comparer {
  const AnswerWindows& answer;
  double share_max = 0;
  int64_t files = 0;

  bool Leaks(std::string_view text) {
    ++files;
    const double share = answer.Share(text);
    share_max = std::max(share_max, share);
    return share >= kLeakingShare;
  }
};

std::string CheckTree(const std::string& where, const FileTree& tree, Comparer& comparer) {
  const auto holds = [&where](const char* what, const std::string& path) {
    return where + " holds " + what + ": " + path;
  };
  for (const auto& [path, entry] : tree.files()) {
    if (path.starts_with(".git/") || path.find("/.git/") != std::string::npos || path == ".git") {
      return holds("git objects", path);
    }
    if (entry.kind == FileEntry::Kind::kSymlink || !comparer.answer.MatchesName(path)) continue;
    if (comparer.Leaks(*entry.content)) return holds("the fixed code", path);
  }
  return "";
}

std::string Quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// Prints what an agent should not find: git folders and package caches with a '!' in front, the
// files that hold any anchor, and "--" with find's exit status at the end. One walk through the
// file system.
std::string HuntScript(const AnswerWindows& answer) {
  std::string script =
      "find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o "
      "\\( -name .git -o -path '*/.cache/uv' -o -path '*/.cache/pip' -o -path /var/cache/pip "
      "\\) -printf '!%p\\n'";
  if (answer.size() > 0) {
    std::string names;
    for (const std::string& pattern : answer.name_patterns()) {
      names += (names.empty() ? "-name " : " -o -name ") + Quote(pattern);
    }
    script += " -o -type f -size -" + std::to_string(kFileBytesMax / 1024) + "k \\( " + names +
              " \\) -exec grep -lF -f /tmp/anchors {} +";
  }
  // find ends with 1 where a folder may not be read: that is no failure, but a signal is.
  return script + " 2>/dev/null\necho \"-- $?\"\n";
}

// The paths that the script printed.
struct Finds {
  std::vector<std::string> forbidden;
  std::vector<std::string> suspects;
  bool complete = false;
};

Finds ReadFinds(std::string_view output) {
  Finds finds;
  while (!output.empty()) {
    const size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    finds.complete = output.empty() && (line == "-- 0" || line == "-- 1");
    if (line.starts_with("!")) finds.forbidden.emplace_back(line.substr(1));
    if (line.starts_with("/")) finds.suspects.emplace_back(line);
  }
  return finds;
}

// Looks through everything that the agent can read.
Result<std::string> Hunt(const GradingBench& bench, const Proposal& proposal, Comparer& comparer,
                         std::stop_token stop) {
  sandbox::SandboxSpec spec;
  const auto& environment = bench.environment;
  if (!environment.work_path().empty()) spec.work_path = environment.work_path();
  spec.mounts = bench.built.layers;
  if (environment.masked_paths_size() > 0) {
    spec.masked_paths.assign(environment.masked_paths().begin(), environment.masked_paths().end());
  }
  for (const auto& [name, value] : environment.variables()) spec.variables[name] = value;
  TASKMINT_ASSIGN_OR_RETURN(auto place, bench.sandboxes.Open(spec, stop));
  TASKMINT_RETURN_IF_ERROR(
      place->Put(proposal.parent_tree, spec.work_path, proposal.commit.author_time_s));
  std::string anchors;
  for (const std::string& anchor : comparer.answer.anchors()) anchors.append(anchor).append("\n");
  FileTree notes;
  TASKMINT_RETURN_IF_ERROR(notes.Set("anchors", RegularFile(std::move(anchors))));
  TASKMINT_RETURN_IF_ERROR(notes.Set("hunt", RegularFile(HuntScript(comparer.answer))));
  TASKMINT_RETURN_IF_ERROR(place->Put(notes, "/tmp", 0));
  sandbox::Command command;
  command.argv = {"sh", "/tmp/hunt"};
  command.wall_ms_max = kHuntWallMsMax;
  command.output_bytes_max = 4 << 20;
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult found, place->Run(command, stop));
  if (found.ending != sandbox::Ending::kExited) {
    return Status(Code::kAborted, Boundary::kSandbox,
                  "the hunt through the sandbox ended early: " +
                      std::string(sandbox::EndingName(found.ending)));
  }
  const Finds finds = ReadFinds(found.output);
  if (!finds.complete) {
    return Status(Code::kAborted, Boundary::kVerifier, "the hunt through the sandbox failed");
  }
  if (!finds.forbidden.empty()) return "the sandbox shows " + finds.forbidden.front();
  for (size_t i = 0; i < std::min(finds.suspects.size(), kFilesMax); ++i) {
    const auto content = place->Get(finds.suspects[i], kFileBytesMax);
    // A file may be unreadable or too large; a sandbox that is gone has shown nothing.
    const Code code = content.status().code();
    if (code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kCancelled) {
      return content.status().WithContext("looking through the sandbox");
    }
    if (content.ok() && comparer.Leaks(*content)) {
      return "the fixed code can be read at " + finds.suspects[i];
    }
  }
  return std::string();
}

}  // namespace

GateResult LeakGate(const GradingBench& bench, const Proposal& proposal, std::stop_token stop) {
  EvidenceWriter row("leak");
  const AnswerWindows answer(bench.driver, proposal.parent_tree, proposal.gold_tree);
  Comparer comparer{answer};
  const auto close = [&](auto finish) {
    row.Count("windows", static_cast<double>(answer.size()));
    row.Count("share_max", comparer.share_max);
    row.Count("files_compared", static_cast<double>(comparer.files));
    return finish();
  };
  std::string leak = CheckPrompt(proposal, answer);
  if (leak.empty()) leak = CheckTree("the repository", proposal.parent_tree, comparer);
  for (int attempt = 0; leak.empty() && attempt < 2; ++attempt) {
    row.Count("sandboxes");
    auto hunted = Hunt(bench, proposal, comparer, stop);
    if (hunted.ok()) {
      leak = *hunted;
      break;
    }
    if (attempt == 1 || stop.stop_requested()) {
      return close([&] { return row.NoVerdict(hunted.status().message()); });
    }
  }
  return close(
      [&] { return leak.empty() ? row.Pass("the answer was found nowhere") : row.Reject(leak); });
}

}  // namespace taskmint::verifier
