// Layers: trees that never change, on disk, named by their digest.
#ifndef TASKMINT_SANDBOX_LAYER_STORE_H_
#define TASKMINT_SANDBOX_LAYER_STORE_H_

#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

struct LayerStoreOptions {
  // Images where the kernel mounts them from a file (Linux 6.12, not from a tmpfs); else, and
  // always for who is not root, folders.
  bool images = true;
  // mkfs.erofs; empty: none.
  std::string mkfs_path = DefaultMkfsPath();

  static std::string DefaultMkfsPath();
};

// A folder of layers:
//   DIGEST/image-SHA256.erofs   an image and the digest of its bytes
//   DIGEST/tree/                the same as a folder
//   building-*/                 what a builder has not finished; the first Open after it has died,
//                               and has no program half started, sweeps it away
// A layer appears there whole, by one rename of what is on the disk already, or not at all. Built
// again it is the same layer, by whomever and in whichever form. Thread-safe, and safe beside other
// processes with the same folder.
class LayerStore {
 public:
  // Makes the folder where it is missing. INVALID_ARGUMENT for one that others may write to.
  static Result<std::unique_ptr<LayerStore>> Open(const std::string& folder,
                                                  const LayerStoreOptions& options = {});

  // The layer of a tree, or of a folder of the host (which is read without following links: regular
  // files, whether their owner may execute them, links and folders, and nothing else). Cost: one
  // that is there costs a digest of the tree, or a copy of the folder; it is read whole before its
  // first use in this object, and built again where it is damaged. Errors of CopyFolder and
  // WriteTree.
  Result<Layer> Build(const FileTree& tree, std::stop_token stop);
  Result<Layer> BuildFromFolder(const std::string& host_folder, std::stop_token stop);

  // NOT_FOUND when it is not there in a form that can be mounted here, DATA_LOSS when it is
  // damaged.
  Result<Layer> Find(const std::string& digest);

 private:
  class Builder;

  LayerStore(std::string folder, LayerStoreOptions options);
  void Sweep() const;
  // As Find; `damaged_path` is set to what is to be thrown away.
  Result<Layer> Look(const std::string& digest, std::string* damaged_path);
  // Whether the layer's bytes are what its name says; read once an object.
  Result<bool> IsWhole(const Layer& layer);
  bool MakesImages();

  const std::string folder_;
  const LayerStoreOptions options_;
  std::mutex mutex_;
  std::set<std::string> whole_;  // paths that were read
  bool images_mount_ = true;     // until one does not
};

// What this machine makes of layers; for `taskmint doctor`. Makes an image in a temporary folder.
Finding ExamineLayers();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_LAYER_STORE_H_
