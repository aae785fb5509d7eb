// Regular expressions (RE2) that the sources about prompts share.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PROMPT_PATTERNS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PROMPT_PATTERNS_H_

#include <initializer_list>
#include <string>
#include <string_view>

namespace taskmint::environments {

// "(?:a|b|c)".
std::string AnyOf(std::initializer_list<std::string_view> patterns);
// One or several references to issues or pull requests: "#12", "owner/name#12", "GH-12",
// "issue 12", "https://host/owner/name/issues/12", joined by commas or "and".
const std::string& ReferencesPattern();
// A verb that leads to a reference: "fixes", "see also"; with its colon and spaces.
const std::string& ReferenceVerbPattern();

// True for a line that says nothing about what is to be done: trailers, lone references, merges,
// check lists, templates' instructions, bots' lines, separators.
bool IsNoise(const std::string& line);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PROMPT_PATTERNS_H_
