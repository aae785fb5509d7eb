#include "sandbox/layer_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/utf8.h"
#include "sandbox/erofs_image.h"
#include "sandbox/errors.h"
#include "sandbox/fd.h"
#include "sandbox/folder_copy.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr char kBuilding[] = "building-";
constexpr char kTree[] = "tree";
constexpr std::string_view kImagePrefix = "image-";
constexpr std::string_view kImageSuffix = ".erofs";

Status Failed(const std::string& what, const std::string& path) {
  const Code code =
      errno == ENOSPC || errno == EDQUOT ? Code::kResourceExhausted : Code::kUnavailable;
  return Error(code, "cannot " + what + " '" + Printable(path) + "': " + std::strerror(errno));
}

UniqueFd OpenFolder(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

Status SyncFolder(const std::string& path) {
  const UniqueFd folder = OpenFolder(path);
  return folder.valid() && ::fsync(folder.get()) == 0 ? OkStatus() : Failed("sync", path);
}

Result<std::string> DigestFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  std::string buffer(1 << 20, '\0');
  StreamDigest digest;
  while (file.valid()) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    if (size == 0) return digest.Hex();
    digest.Add({buffer.data(), static_cast<size_t>(size)});
  }
  return Failed("read", path);
}

// Names in a folder, sorted; none where it cannot be read.
std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The digest in an image's name; empty for another name.
std::string ImageDigestOf(std::string_view name) {
  if (!name.starts_with(kImagePrefix) || !name.ends_with(kImageSuffix)) return {};
  name.remove_prefix(kImagePrefix.size());
  name.remove_suffix(std::min(name.size(), kImageSuffix.size()));
  return IsDigest(name) ? std::string(name) : std::string();
}

// Whether an image of nothing can be made and mounted here.
bool TryImage(const std::string& mkfs_path) {
  std::error_code error;
  std::string folder = fs::temp_directory_path(error) / "taskmint-layer-XXXXXX";
  if (error || ::mkdtemp(folder.data()) == nullptr) return false;
  const std::string tree = folder + "/tree";
  const std::string image = folder + "/image";
  const bool mounts = ::mkdir(tree.c_str(), 0755) == 0 &&
                      MakeErofsImage(mkfs_path, tree, image).ok() && MountsFromFile(image);
  RemoveFolder(folder);
  return mounts;
}

}  // namespace

// Makes one layer in a folder that is its own, as its lock shows.
class LayerStore::Builder {
 public:
  explicit Builder(LayerStore& store) : store_(store) {}
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() {
    if (!path_.empty()) RemoveFolder(path_);
  }

  Status Begin() {
    for (int tries = 0; tries < 100; ++tries) {
      std::string path = store_.folder_ + "/" + kBuilding + "XXXXXX";
      if (::mkdtemp(path.data()) == nullptr) return Failed("make a folder in", store_.folder_);
      lock_ = OpenFolder(path);
      struct stat mine, named;
      // A sweeper may have had it before us.
      if (lock_.valid() && ::flock(lock_.get(), LOCK_EX) == 0 && ::fstat(lock_.get(), &mine) == 0 &&
          ::lstat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino) {
        path_ = std::move(path);
        return MakeTree();
      }
    }
    return Error(Code::kAborted, "cannot make a folder in '" + Printable(store_.folder_) + "'");
  }
  int tree() const { return tree_.get(); }

  // Gives the tree, which is written, its place under its digest. What is damaged there gives way.
  Status Publish(const std::string& digest, const std::string& damaged_path) {
    const std::string home = store_.folder_ + "/" + digest;
    if (::mkdir(home.c_str(), 0755) != 0 && errno != EEXIST) return Failed("make", home);
    if (!damaged_path.empty() &&
        ::rename(damaged_path.c_str(), (path_ + "/damaged").c_str()) != 0 && errno != ENOENT) {
      return Failed("replace", damaged_path);
    }
    if (store_.MakesImages()) {
      TASKMINT_ASSIGN_OR_RETURN(const bool done, PublishImage(home));
      if (done) return Sync(home);
    }
    // All of the file system at once: its files may be many.
    if (::syncfs(tree_.get()) != 0) return Failed("sync", path_);
    const std::string place = home + "/" + kTree;
    if (::rename((path_ + "/" + kTree).c_str(), place.c_str()) != 0 && errno != ENOTEMPTY &&
        errno != EEXIST) {  // those: another builder was first
      return Failed("make", place);
    }
    return Sync(home);
  }

 private:
  Status MakeTree() {
    const std::string tree = path_ + "/" + kTree;
    if (::mkdir(tree.c_str(), 0755) != 0) return Failed("make", tree);
    tree_ = OpenFolder(tree);
    return tree_.valid() ? OkStatus() : Failed("open", tree);
  }

  // False where images are not mounted here after all.
  Result<bool> PublishImage(const std::string& home) {
    const std::string image = path_ + "/image";
    TASKMINT_RETURN_IF_ERROR(MakeErofsImage(store_.options_.mkfs_path, path_ + "/" + kTree, image));
    if (!MountsFromFile(image)) {
      const std::lock_guard lock(store_.mutex_);
      store_.images_mount_ = false;
      return false;
    }
    const UniqueFd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid() || ::fchmod(file.get(), 0444) != 0 || ::fsync(file.get()) != 0) {
      return Failed("sync", image);
    }
    TASKMINT_ASSIGN_OR_RETURN(const std::string digest, DigestFile(image));
    const std::string place =
        home + "/" + std::string(kImagePrefix) + digest + std::string(kImageSuffix);
    if (::rename(image.c_str(), place.c_str()) != 0) return Failed("make", place);
    const std::lock_guard lock(store_.mutex_);
    store_.whole_.insert(place);
    return true;
  }

  Status Sync(const std::string& home) const {
    TASKMINT_RETURN_IF_ERROR(SyncFolder(home));
    return SyncFolder(store_.folder_);
  }

  LayerStore& store_;
  std::string path_;
  UniqueFd lock_;
  UniqueFd tree_;
};

std::string LayerStoreOptions::DefaultMkfsPath() { return FindMkfsErofs(); }

LayerStore::LayerStore(std::string folder, LayerStoreOptions options)
    : folder_(std::move(folder)), options_(std::move(options)) {}

Result<std::unique_ptr<LayerStore>> LayerStore::Open(const std::string& folder,
                                                     const LayerStoreOptions& options) {
  std::error_code error;
  fs::create_directories(fs::path(folder).parent_path(), error);
  if (::mkdir(folder.c_str(), 0755) == 0) {
    ::chmod(folder.c_str(), 0755);  // whatever the umask
  } else if (errno != EEXIST) {
    return Failed("make", folder);
  }
  const fs::path real = fs::canonical(folder, error);
  struct stat info;
  if (error || ::stat(real.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return Error(Code::kInvalidArgument, "'" + Printable(folder) + "' is no folder for layers");
  }
  if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error(Code::kInvalidArgument, "others than you may write to '" + Printable(folder) +
                                             "': layers need a folder of your own (chmod go-w)");
  }
  std::unique_ptr<LayerStore> store(new LayerStore(real.string(), options));
  store->Sweep();
  return store;
}

void LayerStore::Sweep() const {
  for (const std::string& name : NamesIn(folder_)) {
    if (!name.starts_with(kBuilding)) continue;
    const std::string path = folder_ + "/" + name;
    const UniqueFd lock = OpenFolder(path);
    if (lock.valid() && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) RemoveFolder(path);
  }
}

bool LayerStore::MakesImages() {
  const std::lock_guard lock(mutex_);
  return options_.images && images_mount_ && !options_.mkfs_path.empty() && ::geteuid() == 0;
}

Result<bool> LayerStore::IsWhole(const Layer& layer) {
  {
    const std::lock_guard lock(mutex_);
    if (whole_.contains(layer.host_path)) return true;
  }
  Result<std::string> digest = Error(Code::kInternal, "");
  if (layer.is_image()) {
    digest = DigestFile(layer.host_path);
  } else {
    const UniqueFd folder = OpenFolder(layer.host_path);
    if (!folder.valid()) return Failed("open", layer.host_path);
    digest = DigestFolder(folder.get(), {});
  }
  if (!digest.ok() && digest.status().code() != Code::kInvalidArgument) return digest.status();
  const std::string& expected = layer.is_image() ? layer.image_digest : layer.digest;
  if (!digest.ok() || *digest != expected) return false;
  const std::lock_guard lock(mutex_);
  whole_.insert(layer.host_path);
  return true;
}

Result<Layer> LayerStore::Look(const std::string& digest, std::string* damaged_path) {
  const std::string home = folder_ + "/" + digest;
  Layer found{digest, "", ""};
  for (const std::string& name : NamesIn(home)) {
    const std::string path = fs::path(home) / name;
    const std::string image_digest = ImageDigestOf(name);
    const bool image = !image_digest.empty() && options_.images && MountsFromFile(path);
    // An image that does not mount may be a damaged one, where others do.
    if (!image_digest.empty() && !image && MakesImages()) *damaged_path = path;
    if (image) {
      found = {digest, path, image_digest};
      break;
    }
    if (name == kTree) found = {digest, path, ""};
  }
  if (found.host_path.empty()) {
    return Error(Code::kNotFound, "there is no layer " + digest.substr(0, 12));
  }
  TASKMINT_ASSIGN_OR_RETURN(const bool whole, IsWhole(found));
  if (whole) return found;
  *damaged_path = found.host_path;
  return Error(Code::kDataLoss,
               "'" + Printable(found.host_path) + "' is not what it was built as: remove it");
}

Result<Layer> LayerStore::Find(const std::string& digest) {
  if (!IsDigest(digest)) {
    return Error(Code::kInvalidArgument, "not the digest of a layer: " + Printable(digest));
  }
  std::string ignored;
  return Look(digest, &ignored);
}

Result<Layer> LayerStore::Build(const FileTree& tree, std::stop_token stop) {
  const std::string digest = TreeDigest(tree);
  std::string damaged_path;
  Result<Layer> layer = Look(digest, &damaged_path);
  if (layer.ok()) return layer;
  Builder builder(*this);
  TASKMINT_RETURN_IF_ERROR(builder.Begin());
  TASKMINT_RETURN_IF_ERROR(WriteTree(tree, builder.tree(), stop));
  TASKMINT_RETURN_IF_ERROR(builder.Publish(digest, damaged_path));
  return Look(digest, &damaged_path);
}

Result<Layer> LayerStore::BuildFromFolder(const std::string& host_folder, std::stop_token stop) {
  const UniqueFd folder(::open(host_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) {
    return Error(Code::kInvalidArgument,
                 "cannot read '" + Printable(host_folder) + "': " + std::strerror(errno));
  }
  FolderReading reading;
  reading.stop = stop;
  TASKMINT_ASSIGN_OR_RETURN(std::string digest, DigestFolder(folder.get(), reading));
  std::string damaged_path;
  Result<Layer> layer = Look(digest, &damaged_path);
  if (layer.ok()) return layer;
  Builder builder(*this);
  TASKMINT_RETURN_IF_ERROR(builder.Begin());
  TASKMINT_ASSIGN_OR_RETURN(const std::string copied,
                            CopyFolder(folder.get(), builder.tree(), reading));
  if (copied != digest) damaged_path.clear();  // it has changed: another layer
  TASKMINT_RETURN_IF_ERROR(builder.Publish(copied, damaged_path));
  return Look(copied, &damaged_path);
}

Finding ExamineLayers() {
  Finding finding;
  finding.name = "layers";
  finding.ok = true;  // folders serve everywhere
  const std::string mkfs = FindMkfsErofs();
  if (::geteuid() != 0)
    finding.detail = "plain folders: only root mounts images";
  else if (mkfs.empty())
    finding.detail = "plain folders; images (EROFS) need mkfs.erofs: apt-get install erofs-utils";
  else if (TryImage(mkfs))
    finding.detail = "images (EROFS), mounted from their files";
  else
    finding.detail = "plain folders: the kernel mounts no image from a file (Linux 6.12 does)";
  return finding;
}

}  // namespace taskmint::sandbox
