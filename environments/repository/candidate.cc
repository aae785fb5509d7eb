#include "environments/repository/candidate.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "environments/repository/prompt_cleaning.h"
#include "proto/base/digest.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

bool IsTestMaterial(PathRole role) {
  return role == PathRole::kTest || role == PathRole::kSteering;
}

// Whether `error` is the commit's own fault, so that it alone is rejected.
bool SpoilsTheCommit(const Status& error) {
  return error.code() == Code::kNotFound || error.code() == Code::kResourceExhausted ||
         error.code() == Code::kDataLoss;
}

// True also where the commit cannot be read: it is rejected with its reason later.
Result<bool> TouchesSourceAndTests(GitRepository& repository, const LanguageDriver& driver,
                                   const CandidateCommit& commit, const ReadLimits& limits) {
  const Result<std::vector<PathChange>> changes =
      repository.Changes(commit.parent_sha, commit.sha, limits);
  if (!changes.ok()) {
    if (SpoilsTheCommit(changes.status())) return true;
    return changes.status();
  }
  bool source = false;
  bool tests = false;
  for (const PathChange& change : *changes) {
    const PathRole role = driver.RoleOf(change.path);
    source |= role == PathRole::kSource;
    tests |= role == PathRole::kTest;
  }
  return source && tests;
}

// Lines that the fix adds to code: they must not stand in the prompt.
std::set<std::string, std::less<>> AddedCodeLines(const Proposal& proposal,
                                                  const std::vector<std::string>& paths) {
  std::set<std::string, std::less<>> added;
  for (const std::string& path : paths) {
    const FileEntry* after = proposal.gold_tree.Find(path);
    const FileEntry* before = proposal.parent_tree.Find(path);
    if (after == nullptr) continue;
    std::unordered_set<std::string_view> known;
    if (before != nullptr) {
      for (const std::string_view line : LinesOf(*before->content)) known.insert(Trimmed(line));
    }
    for (const std::string_view line : LinesOf(*after->content)) {
      if (!known.contains(Trimmed(line))) added.emplace(Trimmed(line));
    }
  }
  return added;
}

// Splits the fix by role into `proposal`; returns the changed paths of code.
std::vector<std::string> SplitByRole(const LanguageDriver& driver, const FileTree& fix_tree,
                                     Proposal& proposal) {
  std::vector<std::string> code;
  proposal.gold_tree = proposal.parent_tree;
  for (const auto& [path, entry] : fix_tree.files()) {
    const PathRole role = driver.RoleOf(path);
    const FileEntry* before = proposal.parent_tree.Find(path);
    const bool changed = before == nullptr || *before != entry;
    if (IsTestMaterial(role)) {
      // Keys of a tree are keys of another.
      TASKMINT_CHECK(proposal.overlay.Set(path, entry).ok());
      if (changed && driver.IsTestFile(path)) proposal.test_files.push_back(path);
    } else if (changed) {
      FileTree one;
      TASKMINT_CHECK(one.Set(path, entry).ok());
      proposal.gold_tree.Overlay(one);
      if (role == PathRole::kSource) code.push_back(path);
    }
  }
  for (const auto& [path, entry] : proposal.parent_tree.files()) {
    if (fix_tree.Contains(path)) continue;
    const PathRole role = driver.RoleOf(path);
    if (IsTestMaterial(role)) {
      proposal.removed_paths.push_back(path);
    } else {
      proposal.gold_tree.Remove(path);
      if (role == PathRole::kSource) code.push_back(path);
    }
  }
  return code;
}

}  // namespace

Result<std::vector<CandidateCommit>> FindCandidates(
    GitRepository& repository, const LanguageDriver& driver, const CandidateQuery& query,
    const std::vector<IssueRecord>& issues, const SearchProgress& progress, std::stop_token stop) {
  std::unordered_set<std::string> pull_merges;
  for (const IssueRecord& issue : issues) {
    if (issue.is_pull_request) pull_merges.insert(issue.merge_commit_sha);
  }
  TASKMINT_ASSIGN_OR_RETURN(const std::string head, repository.Head());
  TASKMINT_ASSIGN_OR_RETURN(std::vector<CommitInfo> commits, repository.Commits(head, stop));
  std::erase_if(commits, [&](const CommitInfo& commit) {
    const bool wanted = commit.parents.size() == 1 ||
                        (commit.parents.size() > 1 && pull_merges.contains(commit.sha));
    return !wanted || (query.since_s != 0 && commit.author_time_s < query.since_s) ||
           (query.until_s != 0 && commit.author_time_s > query.until_s);
  });
  std::vector<std::pair<std::string, CandidateCommit>> ordered;
  int64_t looked_at = 0;
  for (const CommitInfo& commit : commits) {
    if (stop.stop_requested()) {
      return Status(Code::kCancelled, Boundary::kEnvironment,
                    "looking for candidates was cancelled");
    }
    const CandidateCommit candidate{commit.sha, commit.parents.front()};
    TASKMINT_ASSIGN_OR_RETURN(const bool touches,
                              TouchesSourceAndTests(repository, driver, candidate, query.limits));
    if (progress) progress(++looked_at, static_cast<int64_t>(commits.size()));
    if (!touches) continue;
    ordered.emplace_back(DigestBuilder().Add(std::to_string(query.seed)).Add(commit.sha).Hex(),
                         candidate);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<CandidateCommit> candidates;
  candidates.reserve(ordered.size());
  for (auto& [key, candidate] : ordered) candidates.push_back(std::move(candidate));
  return candidates;
}

Result<ProposalOutcome> Propose(GitRepository& repository, const LanguageDriver& driver,
                                const CandidateCommit& candidate,
                                const std::vector<IssueRecord>& issues, const ReadLimits& limits) {
  ProposalOutcome outcome;
  Proposal& proposal = outcome.proposal;
  const auto refuse = [&outcome](const char* reason, std::string detail) {
    outcome.refusal = {reason, std::move(detail)};
    return outcome;
  };
  // Returns the error unless the commit alone is to blame.
  const auto judge = [&refuse](const Status& error) -> Result<ProposalOutcome> {
    if (SpoilsTheCommit(error)) return refuse("lint", error.message());
    return error;
  };
  Result<CommitInfo> commit = repository.ReadCommit(candidate.sha);
  if (!commit.ok()) return judge(commit.status());
  proposal.commit = *commit;
  const auto changes = repository.Changes(candidate.parent_sha, candidate.sha, limits);
  if (!changes.ok()) return judge(changes.status());

  PromptOutcome prompt = WritePrompt(proposal.commit, issues);
  proposal.issue_numbers = prompt.issue_numbers;
  if (!prompt.refusal.reason.empty()) {
    outcome.refusal = prompt.refusal;
    return outcome;
  }
  Result<FileTree> parent_tree = repository.ReadTree(candidate.parent_sha, limits);
  if (!parent_tree.ok()) return judge(parent_tree.status());
  Result<FileTree> fix_tree = repository.ReadTree(candidate.sha, limits);
  if (!fix_tree.ok()) return judge(fix_tree.status());
  proposal.parent_tree = std::move(*parent_tree);
  const std::vector<std::string> code = SplitByRole(driver, *fix_tree, proposal);
  if (code.empty()) return refuse("lint", "the fix changes no code beside its tests");
  if (proposal.test_files.empty()) return refuse("lint", "the fix adds or changes no test file");

  proposal.prompt = std::move(prompt.prompt);
  proposal.prompt.set_text(WithoutFixCode(proposal.prompt.text(), AddedCodeLines(proposal, code)));
  if (const std::string why = WhyUnderspecified(proposal.prompt.text()); !why.empty()) {
    return refuse("underspecified", why);
  }
  TASKMINT_ASSIGN_OR_RETURN(proposal.gold_patch,
                            MakePatch(proposal.parent_tree, proposal.gold_tree));
  proposal.licence = DetectLicence(*fix_tree);
  return outcome;
}

}  // namespace taskmint::environments
