// libgit2's objects with owners, for the sources of this folder that include it.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_LIBGIT2_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_LIBGIT2_H_

#include <git2.h>

#include <memory>
#include <string>

namespace taskmint::environments {

// Calls a libgit2 free function on a handle.
template <auto kFree>
struct GitFree {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};

template <typename T, auto kFree>
using GitHandle = std::unique_ptr<T, GitFree<kFree>>;

using GitRepositoryHandle = GitHandle<git_repository, git_repository_free>;
using GitOdbHandle = GitHandle<git_odb, git_odb_free>;
using GitOdbObjectHandle = GitHandle<git_odb_object, git_odb_object_free>;
using GitCommitHandle = GitHandle<git_commit, git_commit_free>;
using GitTreeHandle = GitHandle<git_tree, git_tree_free>;
using GitObjectHandle = GitHandle<git_object, git_object_free>;
using GitReferenceHandle = GitHandle<git_reference, git_reference_free>;
using GitConfigHandle = GitHandle<git_config, git_config_free>;
using GitIndexHandle = GitHandle<git_index, git_index_free>;
using GitDiffHandle = GitHandle<git_diff, git_diff_free>;

// Initialises libgit2 once for the process and sets its process-wide options. Call before anything
// else of libgit2. Thread-safe.
void InitLibgit2();

// The calling thread's last libgit2 error, printable, on one line.
std::string LastGitError();

// 40 hex digits.
std::string HexOf(const git_oid& id);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_LIBGIT2_H_
