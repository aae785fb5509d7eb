#include "datasets/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "proto/base/digest.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

// The first of January 1980: the oldest time that zip files can hold, for tests that make some.
constexpr time_t kModifiedS = 315'532'800;
constexpr uint64_t kRatioFreeBytes = uint64_t{64} << 20;
constexpr size_t kSharedBytesMin = 64 << 10;
constexpr size_t kBlockBytes = 64 << 10;

struct FreeArchive {
  void operator()(archive* handle) const { archive_free(handle); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using ArchiveHandle = std::unique_ptr<archive, FreeArchive>;
using EntryHandle = std::unique_ptr<archive_entry, FreeEntry>;

// libarchive turns the names of pax archives, which are UTF-8, into the locale's characters; the C
// locale has none beyond ASCII.
class Utf8Names {
 public:
  Utf8Names()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(locale_ == nullptr ? nullptr : uselocale(locale_)) {}
  ~Utf8Names() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t locale_;
  locale_t before_;
};

Status ArchiveFailure(archive* handle, const std::string& what) {
  const char* why = archive_error_string(handle);
  return {archive_errno(handle) == ENOMEM ? Code::kResourceExhausted : Code::kInternal,
          Boundary::kStore, what + ": " + (why == nullptr ? "no reason given" : why)};
}

la_ssize_t AppendBytes(archive*, void* bytes, const void* buffer, size_t size) {
  static_cast<std::string*>(bytes)->append(static_cast<const char*>(buffer), size);
  return static_cast<la_ssize_t>(size);
}

Status WriteEntry(archive* handle, archive_entry* entry, const std::string& path,
                  const FileEntry& file) {
  archive_entry_clear(entry);
  archive_entry_set_pathname(entry, path.c_str());
  archive_entry_set_mtime(entry, kModifiedS, 0);
  archive_entry_set_uid(entry, 0);
  archive_entry_set_gid(entry, 0);
  const bool link = file.kind == FileEntry::Kind::kSymlink;
  if (link) {
    archive_entry_set_filetype(entry, AE_IFLNK);
    archive_entry_set_perm(entry, 0777);
    archive_entry_set_symlink(entry, file.content->c_str());
    archive_entry_set_size(entry, 0);
  } else {
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, file.kind == FileEntry::Kind::kExecutable ? 0755 : 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(file.content->size()));
  }
  if (archive_write_header(handle, entry) != ARCHIVE_OK) {
    return ArchiveFailure(handle, "cannot archive " + OneLine(path));
  }
  if (link || file.content->empty()) return OkStatus();
  const la_ssize_t written = archive_write_data(handle, file.content->data(), file.content->size());
  if (written != static_cast<la_ssize_t>(file.content->size())) {
    return ArchiveFailure(handle, "cannot archive " + OneLine(path));
  }
  return OkStatus();
}

// Reads an opened archive into a tree.
class TreeReader {
 public:
  TreeReader(archive* handle, std::string name, const ArchiveLimits& limits)
      : handle_(handle), name_(std::move(name)), limits_(limits) {}

  Result<FileTree> Read() {
    for (;;) {
      archive_entry* entry = nullptr;
      const int code = archive_read_next_header(handle_, &entry);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK) return Damaged();
      TASKMINT_RETURN_IF_ERROR(ReadEntry(entry));
    }
    if (entries_ == 0) return Refuse("it holds no files: this is no tar archive, or an empty one");
    TASKMINT_RETURN_IF_ERROR(CheckParents());
    return std::move(tree_);
  }

  Status Damaged() const {
    const char* why = archive_error_string(handle_);
    return Refuse("it is damaged, cut short or no tar archive (" +
                  OneLine(why == nullptr ? "no reason given" : why) + ")");
  }

 private:
  Status Refuse(const std::string& why) const {
    return {Code::kInvalidArgument, Boundary::kConfig, name_ + ": " + why};
  }

  // A path of the archive without "./" at its head and '/' at its end.
  Result<std::string> PathOf(const char* raw) const {
    if (raw == nullptr) return Refuse("it has a name that cannot be read");
    std::string_view path(raw);
    if (path.size() > limits_.path_bytes_max) return Refuse("it has a path that is too long");
    while (path.starts_with("./")) path.remove_prefix(2);
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    if (path.empty() || path == ".") return std::string();
    if (!IsTreePath(path)) {
      return Refuse("'" + OneLine(path.substr(0, 200)) + "' is no path below the archive's root");
    }
    return std::string(path);
  }

  Status ReadEntry(archive_entry* entry) {
    if (++entries_ > limits_.entries_max) {
      return Refuse("it has more than " + std::to_string(limits_.entries_max) + " entries");
    }
    TASKMINT_ASSIGN_OR_RETURN(const std::string path, PathOf(archive_entry_pathname(entry)));
    if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
      return ReadHardLink(path, target);
    }
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return OkStatus();
      case AE_IFLNK:
        return ReadLink(path, archive_entry_symlink(entry));
      case AE_IFREG:
        return ReadFile(path, entry);
      default:
        return Refuse("'" + OneLine(path) + "' is neither a file nor a folder nor a link");
    }
  }

  Status ReadHardLink(const std::string& path, const char* raw_target) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string target, PathOf(raw_target));
    const FileEntry* found = tree_.Find(target);
    if (found == nullptr || found->kind == FileEntry::Kind::kSymlink) {
      return Refuse("'" + OneLine(path) + "' is a hard link to '" + OneLine(target) +
                    "', which is no file before it");
    }
    // Counted, though it costs no memory: what is written elsewhere would be that much.
    TASKMINT_RETURN_IF_ERROR(Count(found->content->size()));
    return Add(path, FileEntry(*found));
  }

  Status ReadLink(const std::string& path, const char* target) {
    if (target == nullptr || *target == '\0' || std::strlen(target) > limits_.path_bytes_max) {
      return Refuse("'" + OneLine(path) + "' is a link whose target cannot be read");
    }
    return Add(path, {FileEntry::Kind::kSymlink, std::make_shared<const std::string>(target)});
  }

  Status ReadFile(const std::string& path, archive_entry* entry) {
    const la_int64_t said = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (said < 0 || static_cast<uint64_t>(said) > limits_.file_bytes_max) {
      return Refuse("'" + OneLine(path) + "' is larger than " +
                    std::to_string(limits_.file_bytes_max) + " bytes");
    }
    std::string content;
    char block[kBlockBytes];
    for (;;) {
      const la_ssize_t got = archive_read_data(handle_, block, sizeof block);
      if (got < 0) return Damaged();
      if (got == 0) break;
      content.append(block, static_cast<size_t>(got));
      if (content.size() > limits_.file_bytes_max) {
        return Refuse("'" + OneLine(path) + "' is too large");
      }
      TASKMINT_RETURN_IF_ERROR(Count(static_cast<uint64_t>(got)));
    }
    if (content.size() != static_cast<uint64_t>(said)) return Damaged();
    const bool executable = (archive_entry_perm(entry) & 0100) != 0;
    return Add(path, {executable ? FileEntry::Kind::kExecutable : FileEntry::Kind::kRegular,
                      Shared(std::move(content))});
  }

  std::shared_ptr<const std::string> Shared(std::string content) {
    if (content.size() < kSharedBytesMin) {
      return std::make_shared<const std::string>(std::move(content));
    }
    std::shared_ptr<const std::string>& known = contents_[Sha256Hex(content)];
    if (known == nullptr) known = std::make_shared<const std::string>(std::move(content));
    return known;
  }

  Status Count(uint64_t bytes) {
    bytes_ += bytes;
    if (bytes_ > limits_.bytes_max) {
      return Refuse("it unpacks to more than " + std::to_string(limits_.bytes_max) + " bytes");
    }
    const auto packed =
        static_cast<uint64_t>(std::max<la_int64_t>(1, archive_filter_bytes(handle_, -1)));
    if (bytes_ > kRatioFreeBytes && bytes_ / packed > limits_.ratio_max) {
      return Refuse("it unpacks to more than " + std::to_string(limits_.ratio_max) +
                    " times its size");
    }
    return OkStatus();
  }

  Status Add(const std::string& path, FileEntry entry) {
    if (path.empty()) return Refuse("its root is no folder");
    if (tree_.Contains(path)) return Refuse("'" + OneLine(path) + "' stands in it twice");
    return tree_.Set(path, std::move(entry));
  }

  // Nothing lies below a file or a link.
  Status CheckParents() const {
    for (const auto& [path, entry] : tree_.files()) {
      for (size_t slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1)) {
        if (tree_.Contains(std::string_view(path).substr(0, slash))) {
          return Refuse("'" + OneLine(path) + "' lies below a file or a link");
        }
      }
    }
    return OkStatus();
  }

  archive* handle_;
  std::string name_;
  const ArchiveLimits& limits_;
  FileTree tree_;
  std::unordered_map<std::string, std::shared_ptr<const std::string>> contents_;
  int64_t entries_ = 0;
  uint64_t bytes_ = 0;
};

// Tar and gzip alone: every other format of the library is one more parser of foreign bytes.
ArchiveHandle NewReader() {
  ArchiveHandle handle(archive_read_new());
  archive_read_support_format_tar(handle.get());
  archive_read_support_filter_gzip(handle.get());
  return handle;
}

}  // namespace

Result<std::string> WriteArchive(const FileTree& tree) {
  const Utf8Names names;
  const ArchiveHandle handle(archive_write_new());
  const EntryHandle entry(archive_entry_new());
  std::string bytes;
  archive* const raw = handle.get();
  const bool ready =
      raw != nullptr && entry != nullptr && archive_write_set_format_gnutar(raw) == ARCHIVE_OK &&
      archive_write_add_filter_gzip(raw) == ARCHIVE_OK &&
      archive_write_set_options(raw, "gzip:!timestamp,gzip:compression-level=6") == ARCHIVE_OK &&
      archive_write_set_bytes_in_last_block(raw, 1) == ARCHIVE_OK &&
      archive_write_open(raw, &bytes, nullptr, AppendBytes, nullptr) == ARCHIVE_OK;
  if (!ready) return Status(Code::kInternal, Boundary::kStore, "libarchive cannot write archives");
  for (const auto& [path, file] : tree.files()) {
    TASKMINT_RETURN_IF_ERROR(WriteEntry(raw, entry.get(), path, file));
  }
  if (archive_write_close(raw) != ARCHIVE_OK) {
    return ArchiveFailure(raw, "cannot end an archive");
  }
  return bytes;
}

Result<FileTree> ReadArchive(std::string_view bytes, const std::string& name,
                             const ArchiveLimits& limits) {
  const Utf8Names names;
  const ArchiveHandle handle = NewReader();
  TreeReader reader(handle.get(), name, limits);
  if (archive_read_open_memory(handle.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return reader.Damaged();
  }
  return reader.Read();
}

Result<FileTree> ReadArchiveFile(const std::string& path, const ArchiveLimits& limits) {
  const Utf8Names names;
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    const std::string why = descriptor < 0 ? std::strerror(errno) : "it is no regular file";
    if (descriptor >= 0) close(descriptor);
    return Status(Code::kInvalidArgument, Boundary::kConfig, "cannot read " + path + ": " + why);
  }
  Result<FileTree> tree = Status(Code::kUnknown, Boundary::kConfig, "");
  {
    const ArchiveHandle handle = NewReader();
    TreeReader reader(handle.get(), path, limits);
    if (archive_read_open_fd(handle.get(), descriptor, kBlockBytes) == ARCHIVE_OK) {
      tree = reader.Read();
    } else {
      tree = reader.Damaged();
    }
  }
  close(descriptor);
  return tree;
}

}  // namespace taskmint::datasets
