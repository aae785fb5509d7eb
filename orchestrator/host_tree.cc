#include "orchestrator/host_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "proto/base/utf8.h"
#include "sandbox/fd.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPutFilesMax = 200'000;
constexpr uint64_t kPutBytesMax = uint64_t{2} << 30;
constexpr mode_t kPermissions = 0777;

Status Bad(const std::string& path, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig, Printable(path) + ": " + why};
}

class HostTreeReader {
 public:
  Status Add(const std::string& path, const std::string& name, bool follow) {
    struct stat info;
    if ((follow ? ::stat(path.c_str(), &info) : ::lstat(path.c_str(), &info)) != 0) {
      return Bad(path, std::strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) return AddFolder(path, name);
    FileEntry entry;
    std::string content;
    if (S_ISLNK(info.st_mode)) {
      std::error_code error;
      content = fs::read_symlink(path, error).string();
      if (error) return Bad(path, error.message());
      entry.kind = FileEntry::Kind::kSymlink;
    } else if (S_ISREG(info.st_mode)) {
      TASKMINT_ASSIGN_OR_RETURN(content, ReadWhole(path));
      const mode_t mode = info.st_mode & kPermissions;
      if ((mode & S_IXUSR) != 0) entry.kind = FileEntry::Kind::kExecutable;
      if (mode != 0644 && mode != 0755) read_.modes[mode].push_back(name);
    } else {
      return follow ? Bad(path, "neither a file nor a folder") : OkStatus();
    }
    if (read_.tree.size() >= kPutFilesMax) return Bad(path, "more than 200,000 files in all");
    entry.content = std::make_shared<const std::string>(std::move(content));
    return read_.tree.Set(name, std::move(entry));
  }

  HostTree Take() { return std::move(read_); }

 private:
  // Whatever size it tells.
  Result<std::string> ReadWhole(const std::string& path) {
    const sandbox::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file.valid()) return Bad(path, std::strerror(errno));
    std::string content;
    char buffer[65536];
    while (true) {
      const ssize_t size = ::read(file.get(), buffer, sizeof buffer);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return Bad(path, std::strerror(errno));
      if (size == 0) return content;
      content.append(buffer, static_cast<size_t>(size));
      bytes_ += static_cast<uint64_t>(size);
      if (bytes_ > kPutBytesMax) return Bad(path, "more than 2 GiB in all");
    }
  }

  Status AddFolder(const std::string& path, const std::string& name) {
    std::error_code error;
    fs::directory_iterator entry(path, error);
    for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
      const fs::path below = entry->path().filename();
      TASKMINT_RETURN_IF_ERROR(Add(fs::path(path) / below, fs::path(name) / below, false));
    }
    return error ? Bad(path, error.message()) : OkStatus();
  }

  HostTree read_;
  uint64_t bytes_ = 0;
};

}  // namespace

Result<HostTree> ReadHostTree(const std::string& path, const std::string& name) {
  HostTreeReader reader;
  TASKMINT_RETURN_IF_ERROR(reader.Add(path, name, true));
  return reader.Take();
}

}  // namespace taskmint::orchestrator
