// Reads a git repository with libgit2: commits, trees, differences. Never writes, never runs git.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_REPOSITORY_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_REPOSITORY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::environments {

// What a commit says of itself.
struct CommitInfo {
  std::string sha;                   // 40 hex digits
  std::vector<std::string> parents;  // as recorded, present or not
  std::string message;               // raw bytes
  int64_t author_time_s = 0;
  int64_t commit_time_s = 0;
};

// One changed path of a commit against its parent.
struct PathChange {
  enum class Kind { kAdded, kModified, kDeleted };  // a rename is a deletion and an addition
  std::string path;
  Kind kind = Kind::kModified;
  uint64_t old_bytes = 0;
  uint64_t new_bytes = 0;
};

// Limits of what is read from a repository, against bombs.
struct ReadLimits {
  int64_t files_max = 100'000;
  int64_t tree_bytes_max = int64_t{1} << 30;
  int64_t depth_max = 64;
  // Of one commit: changed paths, and bytes of the changed files on both sides together.
  int64_t changes_max = 2'000;
  int64_t change_bytes_max = 20 << 20;
};

// One open repository. Not thread-safe: open one a thread. Errors (environment boundary):
// NOT_FOUND for a missing object (that commit alone is unusable), RESOURCE_EXHAUSTED beyond a
// limit, DATA_LOSS for a damaged or hostile one.
class GitRepository {
 public:
  virtual ~GitRepository() = default;

  // Opens a work tree, a bare repository, or a linked work tree. Owner does not matter: nothing of
  // the repository is executed. Errors say what to do: NOT_FOUND (no such path, or not a
  // repository), FAILED_PRECONDITION (sha256 objects; unreadable; no commits yet).
  static Result<std::unique_ptr<GitRepository>> Open(const std::string& path);

  // SHA of HEAD, detached or not; FAILED_PRECONDITION when there is no commit.
  virtual Result<std::string> Head() = 0;
  // Every commit reachable from `head`, merges included, newest first by commit time. Missing or
  // damaged ancestors (shallow clones, missing objects) are walked around without failing.
  // CANCELLED when `stop` is requested.
  virtual Result<std::vector<CommitInfo>> Commits(const std::string& head,
                                                  std::stop_token stop) = 0;
  virtual Result<CommitInfo> ReadCommit(const std::string& sha) = 0;
  // Paths that differ between two commits' trees, sorted by path.
  virtual Result<std::vector<PathChange>> Changes(const std::string& from, const std::string& to,
                                                  const ReadLimits& limits) = 0;
  // A commit's files. Submodules are left out (as empty folders are). Git LFS pointers stay
  // pointers.
  virtual Result<FileTree> ReadTree(const std::string& sha, const ReadLimits& limits) = 0;
  // Paths of a commit's files, those of outer folders first; no content is read. Folders that are
  // missing or damaged are walked around, and what lies beyond a limit is left out without failing.
  virtual Result<std::vector<std::string>> ReadPaths(const std::string& sha,
                                                     const ReadLimits& limits) = 0;
  // A regular file in a commit's top folder; nothing where it has none of that name, or where the
  // folder itself is missing or damaged. NOT_FOUND for a missing commit or content,
  // RESOURCE_EXHAUSTED for a file of more than `bytes_max`.
  virtual Result<std::optional<std::string>> ReadTopFile(const std::string& sha,
                                                         const std::string& name,
                                                         uint64_t bytes_max) = 0;
  // URL of remote "origin" without credentials, or empty when there is none or it is a local path.
  virtual std::string OriginUrl() = 0;
};

// `url` without user, password, query and fragment, and with the scp form made an ssh:// URL; empty
// for a local path and for what is no URL.
std::string PublicUrl(std::string_view url);

// A git-format unified diff (3 lines of context, binary hunks included) that turns `from` into
// `to`; empty when they are equal. Made with libgit2 from the two trees' bytes alone.
Result<std::string> MakePatch(const FileTree& from, const FileTree& to);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_REPOSITORY_H_
