#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "proto/base/utf8.h"
#include "verifier/evidence.h"
#include "verifier/gate.h"
#include "verifier/secrets.h"

namespace taskmint::verifier {
namespace {

using environments::Proposal;

constexpr size_t kPromptBytesMax = 64 << 10;
constexpr size_t kPatchBytesMax = 1 << 20;
constexpr uint64_t kOverlayBytesMax = 256 << 20;

bool IsSha(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// The lines that a patch adds.
std::string AddedLines(std::string_view patch) {
  std::string added;
  while (!patch.empty()) {
    const size_t end = std::min(patch.find('\n'), patch.size());
    const std::string_view line = patch.substr(0, end);
    if (line.starts_with("+") && !line.starts_with("+++ ")) {
      added.append(line.substr(1)).append("\n");
    }
    patch.remove_prefix(std::min(end + 1, patch.size()));
  }
  return added;
}

// The user's home, unless it is a folder that any text may name.
std::string HomeFolder() {
  std::array<char, 4096> buffer;
  passwd entry;
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) != 0) return "";
  const std::string home = found == nullptr ? "" : found->pw_dir;
  return home.starts_with("/home/") && home.size() > 6 ? home : "";
}

bool HoldsPath(std::string_view text, std::string_view path) {
  for (size_t at = text.find(path); at != std::string_view::npos; at = text.find(path, at + 1)) {
    const size_t end = at + path.size();
    if (end == text.size() || std::isalnum(static_cast<unsigned char>(text[end])) == 0) return true;
  }
  return false;
}

std::string CheckSchema(const Proposal& proposal) {
  const auto& prompt = proposal.prompt;
  const bool blank = std::all_of(prompt.text().begin(), prompt.text().end(), [](char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
  });
  if (blank) return "the prompt is empty";
  if (!IsUtf8(prompt.text())) return "the prompt is not valid UTF-8";
  if (prompt.text().size() > kPromptBytesMax) {
    return "the prompt has " + std::to_string(prompt.text().size()) + " bytes, more than " +
           std::to_string(kPromptBytesMax);
  }
  if (prompt.source() == v1::Prompt::SOURCE_UNSPECIFIED) return "the prompt has no source";
  if (!IsSha(proposal.commit.sha)) return "the provenance names no commit";
  if (proposal.commit.parents.empty() || !IsSha(proposal.commit.parents[0])) {
    return "the provenance names no parent commit";
  }
  if (proposal.commit.author_time_s <= 0) return "the provenance has no time";
  if (proposal.licence.spdx_id().empty()) return "the licence is missing ('unknown' is a value)";
  if (proposal.parent_tree.empty()) return "the repository is empty before the fix";
  if (proposal.gold_patch.empty()) return "the fix changes nothing but tests";
  if (proposal.gold_patch.size() > kPatchBytesMax) {
    return "the fix has " + std::to_string(proposal.gold_patch.size()) + " bytes, more than " +
           std::to_string(kPatchBytesMax);
  }
  if (proposal.overlay.content_bytes() > kOverlayBytesMax) {
    return "the tests have " + std::to_string(proposal.overlay.content_bytes()) +
           " bytes, more than " + std::to_string(kOverlayBytesMax);
  }
  if (proposal.test_files.empty()) return "the fix changes no test file";
  for (const std::string& file : proposal.test_files) {
    if (!proposal.overlay.Contains(file)) return "the overlay lacks the test file " + file;
  }
  return "";
}

// What is wrong with `text`, which stands in `where`.
std::string CheckText(std::string_view text, const std::string& where,
                      const std::vector<std::string>& host_paths) {
  if (const std::string secret = FindSecret(text); !secret.empty()) {
    return where + " holds " + secret;
  }
  for (const std::string& path : host_paths) {
    if (HoldsPath(text, path)) return where + " names a path of this machine";
  }
  return "";
}

std::string CheckContents(const Proposal& proposal, const std::vector<std::string>& host_paths) {
  std::string wrong = CheckText(proposal.prompt.text(), "the prompt", host_paths);
  if (wrong.empty()) {
    wrong = CheckText(AddedLines(proposal.gold_patch), "the fix", host_paths);
  }
  for (const auto& [path, entry] : proposal.overlay.files()) {
    if (!wrong.empty()) break;
    const FileEntry* before = proposal.parent_tree.Find(path);
    if (before != nullptr &&
        (before->content == entry.content || *before->content == *entry.content)) {
      continue;
    }
    if (entry.content->starts_with("version https://git-lfs.github.com/spec/v1\n")) {
      return path + " is a Git LFS pointer: its content is not in the repository";
    }
    wrong = CheckText(*entry.content, path, host_paths);
  }
  return wrong;
}

}  // namespace

GateResult LintGate(const Proposal& proposal, const std::vector<std::string>& host_paths) {
  EvidenceWriter row("lint");
  std::vector<std::string> paths;
  for (std::string path : host_paths) {
    while (path.ends_with('/')) path.pop_back();
    // "/src" and the like stand in any text.
    if (path.starts_with('/') && std::count(path.begin(), path.end(), '/') > 1) {
      paths.push_back(std::move(path));
    }
  }
  if (std::string home = HomeFolder(); !home.empty()) paths.push_back(std::move(home));
  row.Count("prompt_bytes", static_cast<double>(proposal.prompt.text().size()));
  row.Count("patch_bytes", static_cast<double>(proposal.gold_patch.size()));
  row.Count("test_files", static_cast<double>(proposal.test_files.size()));
  std::string wrong = CheckSchema(proposal);
  if (wrong.empty()) wrong = CheckContents(proposal, paths);
  return wrong.empty() ? row.Pass("complete, within limits, no secret, no host path")
                       : row.Reject(wrong);
}

}  // namespace taskmint::verifier
