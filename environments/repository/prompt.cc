// WritePrompt: which text describes a fix best.
#include <algorithm>

#include "environments/repository/candidate.h"
#include "environments/repository/prompt_cleaning.h"

namespace taskmint::environments {
namespace {

constexpr size_t kIssuesInAPromptMax = 3;

const IssueRecord* FindNumber(const std::vector<IssueRecord>& issues, int64_t number) {
  for (const IssueRecord& issue : issues) {
    if (issue.number == number) return &issue;
  }
  return nullptr;
}

void AddOnce(std::vector<int64_t>& numbers, const std::vector<int64_t>& more) {
  for (const int64_t number : more) {
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
      numbers.push_back(number);
    }
  }
}

// The pull request that brought `commit`, or null.
const IssueRecord* FindPull(const CommitInfo& commit, const IssueReferences& references,
                            const std::vector<IssueRecord>& issues) {
  for (const IssueRecord& issue : issues) {
    if (issue.is_pull_request &&
        (issue.merge_commit_sha == commit.sha || issue.head_sha == commit.sha)) {
      return &issue;
    }
  }
  for (const int64_t number : references.mentioned) {
    const IssueRecord* record = FindNumber(issues, number);
    if (record != nullptr && record->is_pull_request) return record;
  }
  return nullptr;
}

std::string TitleAndBody(const IssueRecord& record) { return record.title + "\n\n" + record.body; }

struct Option {
  v1::Prompt::Source source = v1::Prompt::SOURCE_COMMIT_MESSAGE;
  int64_t number = 0;
  std::string text;
};

// All texts about the fix, the best first.
std::vector<Option> Options(const CommitInfo& commit, const std::vector<IssueRecord>& issues,
                            std::vector<int64_t>& numbers) {
  const IssueReferences references = FindReferences(commit.message);
  AddOnce(numbers, references.closed);
  AddOnce(numbers, references.mentioned);
  std::vector<int64_t> linked = references.closed;
  const IssueRecord* pull = FindPull(commit, references, issues);
  if (pull != nullptr) {
    AddOnce(numbers, {pull->number});
    const IssueReferences of_pull = FindReferences(TitleAndBody(*pull));
    AddOnce(numbers, of_pull.closed);
    AddOnce(linked, of_pull.closed);
  }
  AddOnce(linked, references.mentioned);

  std::vector<Option> options;
  Option issue_option;
  size_t used = 0;
  for (const int64_t number : linked) {
    const IssueRecord* record = FindNumber(issues, number);
    if (record == nullptr || record->is_pull_request || used == kIssuesInAPromptMax) continue;
    const std::string text = CleanPrompt(TitleAndBody(*record));
    if (!WhyUnderspecified(text).empty()) continue;
    if (used++ == 0)
      issue_option = {v1::Prompt::SOURCE_ISSUE, number, text};
    else
      issue_option.text += "\n\n" + text;
  }
  if (used > 0) options.push_back(std::move(issue_option));
  if (pull != nullptr) {
    options.push_back(
        {v1::Prompt::SOURCE_PULL_REQUEST, pull->number, CleanPrompt(TitleAndBody(*pull))});
  }
  options.push_back({v1::Prompt::SOURCE_COMMIT_MESSAGE, 0, CleanPrompt(commit.message)});
  return options;
}

}  // namespace

PromptOutcome WritePrompt(const CommitInfo& commit, const std::vector<IssueRecord>& issues) {
  PromptOutcome outcome;
  for (const Option& option : Options(commit, issues, outcome.issue_numbers)) {
    const std::string why = WhyUnderspecified(option.text);
    if (!why.empty()) {
      outcome.refusal = {"underspecified", why};
      continue;
    }
    outcome.refusal = {};
    outcome.prompt.set_text(option.text);
    outcome.prompt.set_source(option.source);
    outcome.prompt.set_number(option.number);
    break;
  }
  return outcome;
}

}  // namespace taskmint::environments
