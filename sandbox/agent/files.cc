#include "sandbox/agent/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/agent/folders.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

// Folders held open at once while collecting.
constexpr int kCollectDepthMax = 256;

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty()) parts.emplace_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('\0') == std::string::npos;
}

UniqueFd MakeFolder(int parent, const std::string& name) {
  UniqueFd folder = OpenFolder(parent, name.c_str());
  if (folder.valid()) return folder;
  if (errno != ENOENT) {
    if (const int error = RemoveAt(parent, name.c_str()); error != 0) {
      errno = error;
      return {};
    }
  }
  if (mkdirat(parent, name.c_str(), 0755) != 0 && errno != EEXIST) {
    if (errno != EACCES || fchmod(parent, 0755) != 0 || mkdirat(parent, name.c_str(), 0755) != 0) {
      return {};
    }
  }
  return OpenFolder(parent, name.c_str());
}

// The folder at an absolute path; with `make`, folders are made and what is in the way goes.
UniqueFd WalkTo(const std::vector<std::string>& parts, bool make) {
  UniqueFd folder(open("/", kFolderFlags));
  for (const std::string& part : parts) {
    if (!IsPlainName(part)) {
      errno = EINVAL;
      return {};
    }
    folder = make ? MakeFolder(folder.get(), part) : OpenFolder(folder.get(), part.c_str());
    if (!folder.valid()) return {};
  }
  return folder;
}

int WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(file, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return 0;
}

// Writes files below one folder. Parts come in path order, so the folders of the last one stay
// open.
class TreeWriter {
 public:
  TreeWriter(UniqueFd root, int64_t modified_s) : modified_s_(modified_s) {
    open_.emplace_back(std::string(), std::move(root));
  }

  int Write(const FilePart& part) {
    std::vector<std::string> names = Components(part.path);
    if (names.empty()) return EINVAL;
    for (const std::string& name : names) {
      if (!IsPlainName(name)) return EINVAL;
    }
    const std::string name = std::move(names.back());
    names.pop_back();
    if (const int error = Enter(names); error != 0) return error;
    const int folder = open_.back().second.get();
    return part.kind == FilePart::kSymlink ? WriteLink(folder, name, part)
                                           : WriteFile(folder, name, part);
  }

 private:
  int Enter(const std::vector<std::string>& names) {
    size_t same = 0;
    while (same < names.size() && same + 1 < open_.size() && open_[same + 1].first == names[same]) {
      ++same;
    }
    while (open_.size() > same + 1) open_.pop_back();
    for (; same < names.size(); ++same) {
      UniqueFd folder = MakeFolder(open_.back().second.get(), names[same]);
      if (!folder.valid()) return errno;
      open_.emplace_back(names[same], std::move(folder));
    }
    return 0;
  }

  int WriteLink(int folder, const std::string& name, const FilePart& part) {
    const std::string target(part.content);
    if (symlinkat(target.c_str(), folder, name.c_str()) != 0) {
      if (errno != EEXIST && errno != EACCES) return errno;
      if (const int error = RemoveAt(folder, name.c_str()); error != 0) return error;
      fchmod(folder, 0755);
      if (symlinkat(target.c_str(), folder, name.c_str()) != 0) return errno;
    }
    const timespec times[2] = {{modified_s_, 0}, {modified_s_, 0}};
    utimensat(folder, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
    return 0;
  }

  int WriteFile(int folder, const std::string& name, const FilePart& part) {
    constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const mode_t mode = part.kind == FilePart::kExecutable ? 0755 : 0644;
    const int how = part.append ? O_APPEND : O_CREAT | O_EXCL;
    UniqueFd file(openat(folder, name.c_str(), kFlags | how, mode));
    if (!file.valid() && !part.append && (errno == EEXIST || errno == EACCES)) {
      if (errno == EACCES) fchmod(folder, 0755);
      if (const int error = RemoveAt(folder, name.c_str()); error != 0) return error;
      file.reset(openat(folder, name.c_str(), kFlags | how, mode));
    }
    if (!file.valid()) return errno;
    if (const int error = WriteAll(file.get(), part.content); error != 0) return error;
    const timespec times[2] = {{modified_s_, 0}, {modified_s_, 0}};
    futimens(file.get(), times);
    return 0;
  }

  int64_t modified_s_;
  std::vector<std::pair<std::string, UniqueFd>> open_;
};

// Opens a file for reading, without waiting for a FIFO's other end. A file that its owner closed
// to us is opened up.
UniqueFd OpenRegular(int folder, const char* name, struct stat* info) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  if (fstatat(folder, name, info, AT_SYMLINK_NOFOLLOW) != 0) return {};
  if (!S_ISREG(info->st_mode)) {
    errno = EISDIR;
    return {};
  }
  UniqueFd file(openat(folder, name, kFlags));
  if (!file.valid() && errno == EACCES && fchmodat(folder, name, 0600, 0) == 0) {
    file.reset(openat(folder, name, kFlags));
  }
  if (!file.valid() || fstat(file.get(), info) != 0) return {};
  if (!S_ISREG(info->st_mode)) {
    errno = EISDIR;
    return {};
  }
  return file;
}

// Sends `file` in pieces through `piece`, each at most kBatchBytesMax. The size that fstat said is
// not believed.
template <typename Piece>
int ReadPieces(int file, uint64_t bytes_max, uint64_t* bytes, const Piece& piece) {
  std::string buffer;
  while (true) {
    buffer.resize(std::max<size_t>(buffer.size(), 65536));
    size_t filled = 0;
    bool ended = false;
    while (filled < kBatchBytesMax) {
      if (filled == buffer.size()) buffer.resize(std::min(buffer.size() * 4, kBatchBytesMax));
      const ssize_t size = read(file, buffer.data() + filled, buffer.size() - filled);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return errno;
      if (size == 0) {
        ended = true;
        break;
      }
      filled += static_cast<size_t>(size);
    }
    *bytes += filled;
    if (*bytes > bytes_max) return EOVERFLOW;
    if (const int error = piece(std::string_view(buffer).substr(0, filled)); error != 0) {
      return error;
    }
    if (ended) return 0;
  }
}

class Collector {
 public:
  Collector(uint64_t files_max, uint64_t bytes_max, const SendFrame& send)
      : files_max_(files_max), bytes_max_(bytes_max), send_(send) {}

  int Folder(int folder, const std::string& prefix, int depth) {
    if (depth > kCollectDepthMax) return EOVERFLOW;
    return ForEachName(folder,
                       [&](const char* name) { return Entry(folder, name, prefix + name, depth); });
  }

  bool Flush() {
    const bool sent = send_(batch_);
    batch_ = WireWriter(Op::kFiles);
    return sent;
  }

  dev_t device = 0;

 private:
  int Entry(int folder, const char* name, const std::string& path, int depth) {
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return 0;  // gone meanwhile
    if (S_ISDIR(info.st_mode)) {
      // Empty folders are not kept, but so many are no honest tree.
      if (++folders_ > files_max_ + 1000) return EOVERFLOW;
      const UniqueFd child = OpenFolder(folder, name);
      if (!child.valid() || fstat(child.get(), &info) != 0 || info.st_dev != device) return 0;
      return Folder(child.get(), path + "/", depth + 1);
    }
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) return 0;
    if (++files_ > files_max_) return EOVERFLOW;
    if (S_ISLNK(info.st_mode)) {
      char target[4096];
      const ssize_t size = readlinkat(folder, name, target, sizeof target);
      if (size < 0) return 0;
      return Add({path, FilePart::kSymlink, false, {target, static_cast<size_t>(size)}});
    }
    // A sparse file's size costs nothing to claim: refused before it is read.
    if (static_cast<uint64_t>(info.st_size) > bytes_max_) return EOVERFLOW;
    const UniqueFd file = OpenRegular(folder, name, &info);
    if (!file.valid()) return errno == ENOENT || errno == EISDIR ? 0 : errno;
    const FilePart::Kind kind = info.st_mode & 0100 ? FilePart::kExecutable : FilePart::kRegular;
    bool append = false;
    return ReadPieces(file.get(), bytes_max_, &bytes_, [&](std::string_view piece) {
      if (append && piece.empty()) return 0;
      const int error = Add({path, kind, append, piece});
      append = true;
      return error;
    });
  }

  int Add(const FilePart& part) {
    if (batch_.size() > 1 &&
        batch_.size() + part.path.size() + part.content.size() > kBatchBytesMax && !Flush()) {
      return EPIPE;
    }
    WriteFilePart(part, batch_);
    return 0;
  }

  const uint64_t files_max_;
  const uint64_t bytes_max_;
  const SendFrame& send_;
  WireWriter batch_{Op::kFiles};
  uint64_t files_ = 0;
  uint64_t folders_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

int PutFiles(WireReader& reader) {
  const std::vector<std::string> folder = Components(reader.Bytes());
  const int64_t modified_s = static_cast<int64_t>(reader.Int());
  if (!reader.ok()) return EPROTO;
  UniqueFd root = WalkTo(folder, true);
  if (!root.valid()) return errno;
  TreeWriter writer(std::move(root), modified_s);
  while (!reader.at_end()) {
    FilePart part;
    if (!ReadFilePart(reader, &part)) return EPROTO;
    if (const int error = writer.Write(part); error != 0) return error;
  }
  return 0;
}

int RemovePath(std::string_view path) {
  std::vector<std::string> parts = Components(path);
  if (parts.empty()) return EINVAL;
  const std::string name = std::move(parts.back());
  parts.pop_back();
  if (!IsPlainName(name)) return EINVAL;
  const UniqueFd folder = WalkTo(parts, false);
  if (!folder.valid()) {
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : errno;
  }
  return RemoveAt(folder.get(), name.c_str());
}

int ClearFolder(std::string_view path) {
  const UniqueFd folder = WalkTo(Components(path), true);
  return folder.valid() ? EmptyFolder(folder.get()) : errno;
}

int GetFile(std::string_view path, uint64_t bytes_max, const SendFrame& send) {
  std::vector<std::string> parts = Components(path);
  if (parts.empty()) return EISDIR;
  const std::string name = std::move(parts.back());
  parts.pop_back();
  if (!IsPlainName(name)) return EINVAL;
  const UniqueFd folder = WalkTo(parts, false);
  if (!folder.valid()) return errno;
  struct stat info;
  const UniqueFd file = OpenRegular(folder.get(), name.c_str(), &info);
  if (!file.valid()) return errno;
  if (static_cast<uint64_t>(info.st_size) > bytes_max) return EOVERFLOW;
  uint64_t bytes = 0;
  return ReadPieces(file.get(), bytes_max, &bytes, [&](std::string_view piece) {
    return send(WireWriter(Op::kData).Bytes(piece)) ? 0 : EPIPE;
  });
}

int CollectFiles(std::string_view path, uint64_t files_max, uint64_t bytes_max,
                 const SendFrame& send) {
  const UniqueFd folder = WalkTo(Components(path), false);
  if (!folder.valid()) return errno;
  struct stat info;
  if (fstat(folder.get(), &info) != 0) return errno;
  Collector collector(files_max, bytes_max, send);
  collector.device = info.st_dev;
  if (const int error = collector.Folder(folder.get(), "", 0); error != 0) return error;
  return collector.Flush() ? 0 : EPIPE;
}

}  // namespace taskmint::sandbox
