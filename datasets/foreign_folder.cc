#include "datasets/foreign_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "datasets/archive.h"
#include "proto/base/digest.h"
#include "proto/base/file_tree.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kFoldersMax = 100'000;
constexpr size_t kFilesMax = 10'000;
constexpr int kLevelsMax = 16;
// A dataset is its tasks' archives, most of which it holds twice.
constexpr uint64_t kDatasetBytesMax = uint64_t{64} << 30;

Status Unreadable(const std::string& path, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          "cannot read " + OneLine(path.empty() ? "." : path) + ": " + why};
}

Status Absent(const std::string& path) {
  return {Code::kNotFound, Boundary::kConfig, OneLine(path) + " is not there"};
}

// A descriptor that closes itself.
class OpenFile {
 public:
  explicit OpenFile(int number) : number_(number) {}
  ~OpenFile() {
    if (number_ >= 0) close(number_);
  }
  OpenFile(OpenFile&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int number() const { return number_; }

 private:
  int number_;
};

class FolderOnDisk final : public ForeignFolder {
 public:
  FolderOnDisk(OpenFile root, std::string name) : root_(std::move(root)), name_(std::move(name)) {}

  std::string name() const override { return name_; }

  Result<std::vector<std::string>> Folders(const std::string& path) override {
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<Child> children, Children(path));
    std::vector<std::string> names;
    for (const Child& child : children) {
      if (child.type == S_IFLNK) return Unreadable(Joined(path, child.name), "it is a link");
      if (child.type == S_IFDIR) names.push_back(child.name);
    }
    return names;
  }

  Result<std::vector<std::string>> Files(const std::string& path) override {
    std::vector<std::string> paths;
    TASKMINT_RETURN_IF_ERROR(AddFiles(path, "", 0, paths));
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  bool HasFile(const std::string& path) override {
    const Result<OpenFile> file = OpenBelow(path, O_RDONLY | O_NONBLOCK);
    struct stat status {};
    return file.ok() && fstat(file->number(), &status) == 0 && S_ISREG(status.st_mode);
  }

  Result<std::shared_ptr<const std::string>> Read(const std::string& path,
                                                  uint64_t bytes_max) override {
    TASKMINT_ASSIGN_OR_RETURN(const OpenFile file, OpenBelow(path, O_RDONLY | O_NONBLOCK));
    struct stat status {};
    if (fstat(file.number(), &status) != 0) return Unreadable(path, std::strerror(errno));
    return ReadOpened(file, status, path, bytes_max);
  }

  Result<std::string> Digest(const std::string& path, uint64_t bytes_max) override {
    TASKMINT_ASSIGN_OR_RETURN(const OpenFile file, OpenBelow(path, O_RDONLY | O_NONBLOCK));
    struct stat status {};
    if (fstat(file.number(), &status) != 0) return Unreadable(path, std::strerror(errno));
    // Files of one link are read once; those of many are the same bytes elsewhere.
    const bool shared = status.st_nlink > 1;
    const auto key = std::make_pair(status.st_dev, status.st_ino);
    if (const auto known = digests_.find(key); shared && known != digests_.end()) {
      return known->second;
    }
    TASKMINT_ASSIGN_OR_RETURN(const auto bytes, ReadOpened(file, status, path, bytes_max));
    std::string digest = Sha256Hex(*bytes);
    if (shared) digests_[key] = digest;
    return digest;
  }

 private:
  struct Child {
    std::string name;
    mode_t type = 0;
  };

  static std::string Joined(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
  }

  // Component by component, so that a link on the way is never followed.
  Result<OpenFile> OpenBelow(const std::string& path, int flags) const {
    if (path.empty()) return OpenFile(openat(root_.number(), ".", flags | O_CLOEXEC));
    if (!IsTreePath(path)) return Unreadable(path, "it is no path below the folder");
    OpenFile folder(openat(root_.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    size_t begin = 0;
    for (;;) {
      const size_t slash = path.find('/', begin);
      const bool last = slash == std::string::npos;
      const std::string part = path.substr(begin, last ? slash : slash - begin);
      const int how = last ? flags : O_RDONLY | O_DIRECTORY;
      OpenFile next(openat(folder.number(), part.c_str(), how | O_NOFOLLOW | O_CLOEXEC));
      if (next.number() < 0) {
        if (errno == ENOENT) return Absent(path);
        const bool link = errno == ELOOP || errno == ENOTDIR;
        return Unreadable(path,
                          link ? "it is no file, or a link leads to it" : std::strerror(errno));
      }
      if (last) return next;
      folder = std::move(next);
      begin = slash + 1;
    }
  }

  static Result<std::shared_ptr<const std::string>> ReadOpened(const OpenFile& file,
                                                               const struct stat& status,
                                                               const std::string& path,
                                                               uint64_t bytes_max) {
    if (!S_ISREG(status.st_mode)) return Unreadable(path, "it is no regular file");
    const auto size = static_cast<uint64_t>(status.st_size);
    if (size > bytes_max) {
      return Unreadable(path, "it is larger than " + std::to_string(bytes_max) + " bytes");
    }
    std::string bytes(size, '\0');
    size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t got = read(file.number(), bytes.data() + filled, bytes.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Unreadable(path, std::strerror(errno));
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    bytes.resize(filled);
    return std::make_shared<const std::string>(std::move(bytes));
  }

  // Sorted.
  Result<std::vector<Child>> Children(const std::string& path) const {
    TASKMINT_ASSIGN_OR_RETURN(OpenFile folder, OpenBelow(path, O_RDONLY | O_DIRECTORY));
    const int number = dup(folder.number());
    DIR* const stream = number < 0 ? nullptr : fdopendir(number);
    if (stream == nullptr) {
      const Status status = Unreadable(path, std::strerror(errno));
      if (number >= 0) close(number);
      return status;
    }
    std::vector<Child> children;
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat status {};
      if (fstatat(folder.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      children.push_back({name, status.st_mode & S_IFMT});
      if (children.size() > kFoldersMax) break;
    }
    closedir(stream);
    if (children.size() > kFoldersMax) {
      return Unreadable(path, "it holds more than " + std::to_string(kFoldersMax) + " entries");
    }
    std::sort(children.begin(), children.end(),
              [](const Child& a, const Child& b) { return a.name < b.name; });
    return children;
  }

  Status AddFiles(const std::string& root, const std::string& below, int level,  // NOLINT
                  std::vector<std::string>& paths) const {
    const std::string folder = below.empty() ? root : Joined(root, below);
    if (level > kLevelsMax) return Unreadable(folder, "it nests deeper than 16 folders");
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<Child> children, Children(folder));
    for (const Child& child : children) {
      const std::string path = Joined(below, child.name);
      if (child.type == S_IFDIR) {
        TASKMINT_RETURN_IF_ERROR(AddFiles(root, path, level + 1, paths));
      } else if (child.type != S_IFREG) {
        return Unreadable(Joined(root, path), "it is neither a file nor a folder");
      } else {
        paths.push_back(path);
      }
      if (paths.size() > kFilesMax) {
        return Unreadable(root, "it holds more than " + std::to_string(kFilesMax) + " files");
      }
    }
    return OkStatus();
  }

  OpenFile root_;
  std::string name_;
  std::map<std::pair<dev_t, ino_t>, std::string> digests_;
};

class FolderInArchive final : public ForeignFolder {
 public:
  FolderInArchive(FileTree tree, std::string name)
      : tree_(std::move(tree)), name_(std::move(name)) {
    // What `tar -c FOLDER` writes has the folder's own name before every path.
    const std::string& first = tree_.files().begin()->first;
    const std::string head = first.substr(0, first.find('/') + 1);
    const auto& files = tree_.files();
    const bool alone = !head.empty() && std::all_of(files.begin(), files.end(), [&](const auto& f) {
      return f.first.starts_with(head);
    });
    if (alone) root_ = head;
  }

  std::string name() const override { return name_; }

  Result<std::vector<std::string>> Folders(const std::string& path) override {
    const std::string head = HeadOf(path);
    std::set<std::string> names;
    for (auto it = tree_.files().lower_bound(head);
         it != tree_.files().end() && it->first.starts_with(head); ++it) {
      const size_t slash = it->first.find('/', head.size());
      if (slash == std::string::npos) {
        if (IsLink(it->second)) return Unreadable(it->first, "it is a link");
        continue;
      }
      names.insert(it->first.substr(head.size(), slash - head.size()));
      if (names.size() > kFoldersMax) return Unreadable(path, "it holds too many folders");
    }
    return std::vector<std::string>(names.begin(), names.end());
  }

  Result<std::vector<std::string>> Files(const std::string& path) override {
    const std::string head = HeadOf(path);
    std::vector<std::string> paths;
    for (auto it = tree_.files().lower_bound(head);
         it != tree_.files().end() && it->first.starts_with(head); ++it) {
      if (IsLink(it->second)) return Unreadable(it->first, "it is neither a file nor a folder");
      paths.push_back(it->first.substr(head.size()));
      if (paths.size() > kFilesMax) {
        return Unreadable(path, "it holds more than " + std::to_string(kFilesMax) + " files");
      }
    }
    return paths;
  }

  bool HasFile(const std::string& path) override {
    const FileEntry* entry = tree_.Find(root_ + path);
    return entry != nullptr && !IsLink(*entry);
  }

  Result<std::shared_ptr<const std::string>> Read(const std::string& path,
                                                  uint64_t bytes_max) override {
    const FileEntry* entry = tree_.Find(root_ + path);
    if (entry == nullptr) return Absent(path);
    if (IsLink(*entry)) return Unreadable(path, "it is a link");
    if (entry->content->size() > bytes_max) {
      return Unreadable(path, "it is larger than " + std::to_string(bytes_max) + " bytes");
    }
    return entry->content;
  }

  Result<std::string> Digest(const std::string& path, uint64_t bytes_max) override {
    TASKMINT_ASSIGN_OR_RETURN(const auto content, Read(path, bytes_max));
    std::string& digest = digests_[content.get()];
    if (digest.empty()) digest = Sha256Hex(*content);
    return digest;
  }

 private:
  static bool IsLink(const FileEntry& entry) { return entry.kind == FileEntry::Kind::kSymlink; }
  std::string HeadOf(const std::string& path) const {
    return root_ + (path.empty() ? "" : path + "/");
  }

  FileTree tree_;
  std::string name_;
  std::string root_;
  std::map<const std::string*, std::string> digests_;
};

std::string NameOf(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::weakly_canonical(path, error);
  std::string name = (error ? std::filesystem::path(path) : absolute).filename().string();
  for (const std::string_view end : {".tar.gz", ".tgz", ".tar"}) {
    if (name.size() > end.size() && name.ends_with(end)) {
      name.resize(name.size() - end.size());
      break;
    }
  }
  return name;
}

}  // namespace

Result<std::unique_ptr<ForeignFolder>> ForeignFolder::Open(const std::string& path) {
  OpenFile root(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (root.number() < 0 || fstat(root.number(), &status) != 0) {
    return Unreadable(path, std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    return std::unique_ptr<ForeignFolder>(
        std::make_unique<FolderOnDisk>(std::move(root), NameOf(path)));
  }
  ArchiveLimits limits;
  limits.entries_max = 10'000'000;
  limits.bytes_max = kDatasetBytesMax;
  TASKMINT_ASSIGN_OR_RETURN(FileTree tree, ReadArchiveFile(path, limits));
  if (tree.empty()) return Unreadable(path, "the archive holds no files");
  return std::unique_ptr<ForeignFolder>(
      std::make_unique<FolderInArchive>(std::move(tree), NameOf(path)));
}

}  // namespace taskmint::datasets
