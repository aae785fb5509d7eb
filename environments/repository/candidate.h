// Which commits may become tasks, and what each would ask.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CANDIDATE_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CANDIDATE_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "environments/repository/git_repository.h"
#include "environments/repository/language_driver.h"
#include "proto/base/status.h"
#include "proto/task.pb.h"

namespace taskmint::environments {

// An issue or a pull request, as GitHub's REST v3 describes it.
struct IssueRecord {
  int64_t number = 0;
  bool is_pull_request = false;
  std::string title;
  std::string body;
  // Of a pull request: SHA of its merge commit, and of its head; empty when unknown.
  std::string merge_commit_sha;
  std::string head_sha;
};

// Issues and pulls from a JSON array or JSON lines. Unknown fields are ignored, records without a
// number skipped. INVALID_ARGUMENT (config) with the line when the text is not JSON.
Result<std::vector<IssueRecord>> ParseIssues(std::string_view text);

// The commits worth trying.
struct CandidateQuery {
  uint64_t seed = 0;
  // Author time in [since_s, until_s]; 0 means open.
  int64_t since_s = 0;
  int64_t until_s = 0;
  ReadLimits limits;
};

// A commit that touches both source and tests of the driver's language: a commit with one parent,
// or the merge commit of a pull request in `issues`, against its first parent.
struct CandidateCommit {
  std::string sha;
  std::string parent_sha;
};

// All candidates in the seeded order: by SHA-256 of (seed, commit), so that the order depends on
// nothing else. A commit that cannot be read (missing object, beyond a limit) is a candidate still,
// so that it is rejected with its reason. Cost: one tree difference a commit of the query's dates.
// `progress`, where given, is told after each commit how many of how many were looked at. CANCELLED
// when `stop` is requested.
using SearchProgress = std::function<void(int64_t looked_at, int64_t commits)>;
Result<std::vector<CandidateCommit>> FindCandidates(
    GitRepository& repository, const LanguageDriver& driver, const CandidateQuery& query,
    const std::vector<IssueRecord>& issues, const SearchProgress& progress, std::stop_token stop);

// A candidate, read: the trees, split by role.
struct Proposal {
  CommitInfo commit;
  FileTree parent_tree;
  // The fix without tests and steering files, over parent_tree: what the agent should arrive at.
  FileTree gold_tree;
  // Tests and steering files as the fix has them: put over a solution before grading.
  FileTree overlay;
  // Tests and steering files that the fix deleted.
  std::vector<std::string> removed_paths;
  // Test files that the fix adds or changes; run by the graded runs.
  std::vector<std::string> test_files;
  std::string gold_patch;
  v1::Prompt prompt;
  v1::Licence licence;
  std::vector<int64_t> issue_numbers;
};

// Why a commit is no task; reason is one of the words of `list --json`.
struct Refusal {
  std::string reason;  // "underspecified", "lint", ...
  std::string detail;
};

// Reads one candidate. A Refusal is an outcome (left empty when there is none), a Status an error.
struct ProposalOutcome {
  Proposal proposal;
  Refusal refusal;
};
Result<ProposalOutcome> Propose(GitRepository& repository, const LanguageDriver& driver,
                                const CandidateCommit& candidate,
                                const std::vector<IssueRecord>& issues, const ReadLimits& limits);

// The prompt of a fix: the linked issue's text, else the pull request's, else the commit message,
// cleaned of SHAs, links to the fix, diffs, trailers and sign-offs. `refusal` says when what is
// left is too short or empty of meaning.
struct PromptOutcome {
  v1::Prompt prompt;
  std::vector<int64_t> issue_numbers;
  Refusal refusal;
};
PromptOutcome WritePrompt(const CommitInfo& commit, const std::vector<IssueRecord>& issues);

// SPDX identifier of the tree's licence file, or "unknown".
v1::Licence DetectLicence(const FileTree& tree);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CANDIDATE_H_
