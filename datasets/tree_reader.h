// Directory records, read with distrust: a blob has the digest it has, whoever wrote it.
#ifndef TASKMINT_DATASETS_TREE_READER_H_
#define TASKMINT_DATASETS_TREE_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/blob_store.h"
#include "proto/base/status.h"
#include "proto/environment.pb.h"

namespace taskmint::datasets {

// The Directory record `digest`. DATA_LOSS unless every name is one path component, no name stands
// twice (a link and a folder of one name would lead out of the tree), and every digest is one.
Result<v1::Directory> ReadDirectory(const BlobStore& blobs, const std::string& digest);

// A tree without its contents, by relative path.
struct TreeListing {
  struct File {
    std::string path;
    std::string digest;
    uint64_t size_bytes = 0;
    bool executable = false;
  };
  struct Link {
    std::string path;
    std::string target;
  };
  std::vector<std::string> directories;  // parents before children, without the root
  std::vector<File> files;
  std::vector<Link> links;
};

// DATA_LOSS, too, beyond a million entries, 64 GiB of contents or 4,000 bytes a path: few records
// can describe a tree that no disk holds.
Result<TreeListing> ListTree(const BlobStore& blobs, const std::string& root);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_TREE_READER_H_
