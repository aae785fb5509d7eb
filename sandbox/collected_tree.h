// Puts together the tree that an agent sends, which is hostile until checked.
#ifndef TASKMINT_SANDBOX_COLLECTED_TREE_H_
#define TASKMINT_SANDBOX_COLLECTED_TREE_H_

#include <cstdint>
#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire.h"

namespace taskmint::sandbox {

// Not thread-safe.
class CollectedTree {
 public:
  explicit CollectedTree(const CollectLimits& limits) : limits_(limits) {}

  // Takes the parts of one kFiles frame. UNAVAILABLE for what no honest agent sends: a malformed
  // part, a path out of the tree, a path twice, an append to another file, more than the limits.
  Status Add(WireReader& reader);
  // Call once, at the end.
  Result<FileTree> Take();

 private:
  Status Finish();

  const CollectLimits limits_;
  FileTree tree_;
  // The file whose parts are coming in.
  std::string path_;
  FileEntry::Kind kind_ = FileEntry::Kind::kRegular;
  std::string content_;
  bool open_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_COLLECTED_TREE_H_
