// Knows the answer when it sees it: the lines that a fix brings, with the lines around them.
#ifndef TASKMINT_VERIFIER_ANSWER_WINDOWS_H_
#define TASKMINT_VERIFIER_ANSWER_WINDOWS_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "environments/repository/language_driver.h"
#include "proto/base/file_tree.h"

namespace taskmint::verifier {

// A window is three lines in a row, blank ones left out and each stripped, of at least 24 bytes
// together, that stand in a fixed source file but not in its version before. Code that is merely
// alike does not share them, a copy of the fixed file does, and so do deletions. Thread-safe once
// made.
class AnswerWindows {
 public:
  AnswerWindows(const environments::LanguageDriver& driver, const FileTree& parent_tree,
                const FileTree& gold_tree);

  // Windows of all fixed files.
  size_t size() const;
  // The largest share of any one fixed file's windows that `text` holds, in [0, 1]. 0 where it
  // holds fewer than three, unless those are all.
  double Share(std::string_view text) const;
  // The share of the added lines (of 20 bytes and more) that `text` holds, for prose.
  double ShareOfLines(std::string_view text) const;

  // A line of every window, to search for quickly: no file holds a window without it. Of a large
  // answer some windows of each file alone, spread over it.
  const std::set<std::string>& anchors() const { return anchors_; }
  // "*.py", or "Makefile" for names without an extension: what a copy would be called.
  const std::set<std::string>& name_patterns() const { return name_patterns_; }
  // Whether a copy may be called so.
  bool MatchesName(std::string_view path) const;

 private:
  using Windows = std::unordered_set<uint64_t>;
  std::vector<Windows> files_;
  std::set<std::string> added_lines_;
  std::set<std::string> anchors_;
  std::set<std::string> name_patterns_;
};

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_ANSWER_WINDOWS_H_
