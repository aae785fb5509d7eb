// Walks git trees object by object, counting as it goes, so that a bomb costs no more than a limit.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_TREE_WALK_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_TREE_WALK_H_

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "environments/repository/git_repository.h"
#include "environments/repository/libgit2.h"

namespace taskmint::environments {

// One entry of a tree object.
struct GitTreeEntry {
  std::string name;
  uint32_t mode = 0;
  git_oid id{};
  bool is_tree() const { return mode == GIT_FILEMODE_TREE; }
};

// Reads objects of one repository, sizes first. Not thread-safe. Errors as GitRepository's.
class GitObjectReader {
 public:
  // `odb` outlives the reader; `missing_hint` ends the message of a missing object.
  GitObjectReader(git_odb* odb, std::string missing_hint)
      : odb_(odb), missing_hint_(std::move(missing_hint)) {}

  // OK when the object is there, of `type` and not larger than `bytes_max`.
  Status Check(const git_oid& id, git_object_t type, uint64_t bytes_max);
  // Size of a blob, without reading it.
  Result<uint64_t> BlobBytes(const git_oid& id);
  // A blob's bytes; shared with earlier reads that are still alive.
  Result<std::shared_ptr<const std::string>> ReadBlob(const git_oid& id);
  // A tree's entries without submodules. DATA_LOSS for names that git forbids or repeats.
  Result<std::vector<GitTreeEntry>> ReadTreeObject(const git_oid& id);

 private:
  Result<GitOdbObjectHandle> Read(const git_oid& id, git_object_t type, uint64_t bytes_max);

  git_odb* odb_;
  std::string missing_hint_;
  std::unordered_map<std::string, std::weak_ptr<const std::string>> blobs_;
};

// As GitRepository::ReadTree, ReadPaths and Changes, from tree ids.
Result<FileTree> ReadGitTree(GitObjectReader& objects, const git_oid& tree,
                             const ReadLimits& limits);
Result<std::vector<std::string>> ReadGitPaths(GitObjectReader& objects, const git_oid& tree,
                                              const ReadLimits& limits);
Result<std::vector<PathChange>> DiffGitTrees(GitObjectReader& objects, const git_oid& from,
                                             const git_oid& to, const ReadLimits& limits);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_TREE_WALK_H_
