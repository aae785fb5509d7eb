// Content-addressed blobs: blobs/sha256/ab/cdef..., zstd-compressed, verified on every read.
#ifndef TASKMINT_DATASETS_BLOB_STORE_H_
#define TASKMINT_DATASETS_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// Blobs below one folder. Thread-safe, and safe between processes: a blob appears whole (write to
// a temporary name, then rename) or not at all. Errors (store boundary): NOT_FOUND, DATA_LOSS for a
// damaged blob (names it and says `taskmint store check`), RESOURCE_EXHAUSTED for a full disk,
// PERMISSION_DENIED.
class BlobStore {
 public:
  explicit BlobStore(std::string folder);

  // Stores bytes, returns their digest. A blob that is already there costs one stat.
  Result<std::string> Put(std::string_view bytes);
  Result<std::string> Get(const std::string& digest) const;
  bool Contains(const std::string& digest) const;

  // Stores a tree as Directory records and file blobs; returns the root's digest.
  Result<std::string> PutTree(const FileTree& tree);
  Result<FileTree> GetTree(const std::string& digest) const;

  // Writes the tree into a folder `cache`/<digest> that all processes share, once: complete or
  // absent, files and folders readable by everyone, modification times fixed. Returns its path.
  Result<std::string> Materialize(const std::string& tree_digest, const std::string& cache) const;

  // Calls `visit` for every blob on disk with its size there. Any order.
  Status ForEach(
      const std::function<void(const std::string& digest, uint64_t disk_bytes)>& visit) const;
  // Adds to `digests` a tree's root and everything below. NOT_FOUND, DATA_LOSS as Get.
  Status ReachableFromTree(const std::string& root, std::vector<std::string>& digests) const;
  Status Remove(const std::string& digest);
  // Makes what Put wrote so far durable (one syncfs).
  Status Sync() const;

 private:
  std::string folder_;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_BLOB_STORE_H_
