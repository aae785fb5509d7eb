// Content-addressed blobs: blobs/sha256/ab/cdef..., zstd-compressed, verified on every read.
#ifndef TASKMINT_DATASETS_BLOB_STORE_H_
#define TASKMINT_DATASETS_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// Largest blob, before compression; a blob on disk that claims more is damaged.
constexpr uint64_t kBlobBytesMax = 1ULL << 30;

// Blobs below one folder, which is made when the first is put. Thread-safe, and safe between
// processes: a blob appears whole (write to a temporary name, then rename) or not at all, and a
// failed Put leaves nothing behind. Errors (store boundary): NOT_FOUND, DATA_LOSS for a damaged
// blob (names it and says `taskmint store check`), RESOURCE_EXHAUSTED for a full disk,
// PERMISSION_DENIED, INVALID_ARGUMENT for what is no digest or is larger than kBlobBytesMax.
class BlobStore {
 public:
  explicit BlobStore(std::string folder);

  // Stores bytes, returns their digest. A blob that is already there costs one stat.
  Result<std::string> Put(std::string_view bytes);
  Result<std::string> Get(const std::string& digest) const;
  bool Contains(const std::string& digest) const;
  // Bytes that the blob takes on disk. NOT_FOUND.
  Result<uint64_t> DiskBytes(const std::string& digest) const;

  // Stores a tree as Directory records and file blobs; returns the root's digest.
  Result<std::string> PutTree(const FileTree& tree);
  // DATA_LOSS, too, for Directory records that no PutTree writes: names that are no path component
  // or stand twice, other sizes than the files have, more than a million entries.
  Result<FileTree> GetTree(const std::string& digest) const;

  // Writes the tree into a folder of its own below `cache` that all processes share, once: complete
  // or absent, files 0644 or 0755 and folders 0755 whatever the umask, modification times 1, links
  // as written. Returns its path, which names the digest and the machine's boot: what a power
  // failure cut short is not used again. One that was damaged since (files gone, cut or written) is
  // found so at its first use in a process, and written again. Before it appears, what `complete`
  // makes of the written folder is added, but for links and for what would stand over or below a
  // file or a link of the tree; its error is returned and leaves nothing. All users of one cache
  // complete alike.
  using Completion = std::function<Result<FileTree>(const std::string& folder)>;
  Result<std::string> Materialize(const std::string& tree_digest, const std::string& cache,
                                  const Completion& complete = nullptr) const;

  // Calls `visit` for every blob on disk with its size there and its modification time. Any order.
  struct BlobOnDisk {
    std::string digest;
    uint64_t disk_bytes = 0;
    int64_t modified_ms = 0;
  };
  Status ForEach(const std::function<void(const BlobOnDisk&)>& visit) const;
  // Adds a tree's root and everything below: Directory records to `trees`, files to `files`. What
  // is in `trees` already is not read again. Two sets, because a hostile file may have a record's
  // bytes. NOT_FOUND, DATA_LOSS as Get.
  Status ReachableFromTree(const std::string& root, std::unordered_set<std::string>& trees,
                           std::unordered_set<std::string>& files) const;
  Status Remove(const std::string& digest);
  // Removes what killed writers left. Only while nobody writes.
  Result<int64_t> RemoveTemporaryFiles();
  // Makes what Put wrote so far durable (one syncfs).
  Status Sync() const;

 private:
  std::string PathOf(const std::string& digest) const;
  Status PutAs(const std::string& digest, std::string_view bytes);

  std::string folder_;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_BLOB_STORE_H_
