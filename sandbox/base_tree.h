// A root tree of the host that is shown inside instead of the host's own. It may be hostile:
// nothing here follows a link out of it.
#ifndef TASKMINT_SANDBOX_BASE_TREE_H_
#define TASKMINT_SANDBOX_BASE_TREE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// What a sandbox has of its own; a base's are never shown.
inline constexpr std::string_view kTopNamesOfOurs[] = {"dev", "proc", "run", "sbx", "sys", "tmp"};

class BaseTree {
 public:
  struct Entry {
    enum class Kind { kFolder, kFile, kLink, kOther };
    std::string name;
    Kind kind = Kind::kOther;
    std::string target;  // of a link
  };

  // INVALID_ARGUMENT for what is no root tree: no folder, no /usr in it, /usr or /etc a link, or
  // the root of this machine itself.
  static Result<BaseTree> Open(const std::string& path);

  // Absolute and without links.
  const std::string& path() const { return path_; }
  int fd() const { return folder_.get(); }

  // What a folder of it holds, sorted; empty: the tree's root. No part of the path may be a link.
  // INVALID_ARGUMENT when it cannot be read.
  Result<std::vector<Entry>> Entries(const std::string& folder) const;
  // Whether it has this relative path, and no part of it is a link.
  bool Has(const std::string& path) const;
  // Where a path leads, with the tree as root, relative to it; nothing where it leads nowhere.
  std::optional<std::string> Resolve(const std::string& path) const;
  // A regular file, found likewise. NOT_FOUND, or INVALID_ARGUMENT above bytes_max.
  Result<std::string> Read(const std::string& path, size_t bytes_max) const;

 private:
  BaseTree() = default;

  std::string path_;
  UniqueFd folder_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_BASE_TREE_H_
