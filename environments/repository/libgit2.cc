#include "environments/repository/libgit2.h"

#include <algorithm>
#include <iterator>

#include "proto/base/check.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {

void InitLibgit2() {
  static const bool initialised = [] {
    TASKMINT_CHECK(git_libgit2_init() > 0);
    // git refuses repositories of other owners because their configuration can name programs to
    // run. Nothing of a repository is ever executed here, so the owner does not matter.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    // The user's and the machine's configuration must not change what is read.
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                            GIT_CONFIG_LEVEL_PROGRAMDATA}) {
      git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    // Extensions that do not change how objects are read.
    const char* extensions[] = {"partialclone", "worktreeconfig", "preciousobjects",
                                "relativeworktrees"};
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, std::size(extensions));
    return true;
  }();
  TASKMINT_CHECK(initialised);
}

std::string LastGitError() {
  const git_error* error = git_error_last();
  std::string text =
      Printable(error != nullptr && error->message != nullptr ? error->message : "unknown error");
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string HexOf(const git_oid& id) {
  char text[GIT_OID_HEXSZ + 1];
  git_oid_tostr(text, sizeof text, &id);
  return text;
}

}  // namespace taskmint::environments
