// Makes a task's prompt of text that people wrote about a fix.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PROMPT_CLEANING_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PROMPT_CLEANING_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace taskmint::environments {

// Lines without their ends; views into `text`.
std::vector<std::string_view> LinesOf(std::string_view text);
// Without white space at both ends.
std::string_view Trimmed(std::string_view text);

// Valid UTF-8 (what is none is read as Latin-1) with plain line ends, without control characters
// and without characters that hide or turn text around; the first 128 KiB.
std::string DecodedText(std::string_view raw);

// Any bytes made a prompt: as DecodedText, without what identifies or shows the fix (SHAs, links to
// commits and pull requests, diffs), without trailers, sign-offs, references to issues, bots'
// lines, HTML comments and templates' boilerplate. May be empty.
std::string CleanPrompt(std::string_view raw);

// `text` without the lines of its code blocks that `code_lines` (trimmed) hold; short lines are
// left alone. A block that loses all its lines goes.
std::string WithoutFixCode(std::string_view text,
                           const std::set<std::string, std::less<>>& code_lines);

// Why cleaned `text` cannot be a task's prompt, or empty when it can.
std::string WhyUnderspecified(std::string_view text);

// Numbers of issues and pull requests that a text names, each once, in order of appearance.
struct IssueReferences {
  std::vector<int64_t> closed;     // "fixes #12", "closes GH-7", "resolves https://.../issues/3"
  std::vector<int64_t> mentioned;  // "(#12)", "issue 12", "Merge pull request #12"
};
IssueReferences FindReferences(std::string_view text);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PROMPT_CLEANING_H_
