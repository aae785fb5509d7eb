// A tree of files held in memory: a repository snapshot, a layer, an overlay of tests.
#ifndef TASKMINT_PROTO_BASE_FILE_TREE_H_
#define TASKMINT_PROTO_BASE_FILE_TREE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "proto/base/status.h"
#include "proto/environment.pb.h"

namespace taskmint {

// One file. Content is shared, so copies of trees are cheap.
struct FileEntry {
  enum class Kind { kRegular, kExecutable, kSymlink };
  Kind kind = Kind::kRegular;
  // File bytes, or the link's target. Never null.
  std::shared_ptr<const std::string> content = std::make_shared<const std::string>();

  friend bool operator==(const FileEntry& a, const FileEntry& b) {
    return a.kind == b.kind && (a.content == b.content || *a.content == *b.content);
  }
};

inline FileEntry RegularFile(std::string content) {
  return {FileEntry::Kind::kRegular, std::make_shared<const std::string>(std::move(content))};
}

// Files by relative path ("src/attr/_make.py"): '/'-separated, no empty, "." or ".." component, no
// NUL; any other bytes. Empty directories are not kept. Thread-compatible.
class FileTree {
 public:
  using Map = std::map<std::string, FileEntry, std::less<>>;

  // INVALID_ARGUMENT for a path that breaks the rule above.
  Status Set(std::string_view path, FileEntry entry);
  void Remove(std::string_view path) {
    if (auto it = files_.find(path); it != files_.end()) files_.erase(it);
  }
  // Null when absent.
  const FileEntry* Find(std::string_view path) const;
  bool Contains(std::string_view path) const { return Find(path) != nullptr; }
  const Map& files() const { return files_; }
  size_t size() const { return files_.size(); }
  bool empty() const { return files_.empty(); }
  uint64_t content_bytes() const;
  // Puts every file of `other` over this tree. A file that stands where `other` needs a folder (or
  // the reverse) is removed first.
  void Overlay(const FileTree& other);
  // Cheap where one tree was copied from the other.
  friend bool operator==(const FileTree& a, const FileTree& b) { return a.files_ == b.files_; }

 private:
  Map files_;
};

// True where `path` may be a key of a FileTree.
bool IsTreePath(std::string_view path);

// Writes a tree as Directory records, children before parents: `emit(digest, bytes)` is called for
// every Directory and every distinct file content. Returns the root's digest. Cost: one SHA-256
// pass over the contents.
std::string EmitTree(
    const FileTree& tree,
    const std::function<void(const std::string& digest, std::string_view bytes)>& emit);

// The digest that EmitTree returns, with nothing emitted.
std::string TreeDigest(const FileTree& tree);

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_FILE_TREE_H_
