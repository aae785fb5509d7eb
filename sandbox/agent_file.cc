#include "sandbox/agent_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/fd.h"
#include "sandbox/process_mark.h"

namespace taskmint::sandbox {
namespace {

constexpr std::string_view kAgentFilePrefix = "taskmint-agent-";

// Files are named after the process: those of dead ones are left over from a kill -9.
void SweepAgentFiles(const std::string& folder) {
  DIR* stream = ::opendir(folder.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kAgentFilePrefix)) continue;
    if (!IsOfDeadProcess(name.substr(kAgentFilePrefix.size()))) continue;
    ::unlink((folder + "/" + entry->d_name).c_str());
  }
  ::closedir(stream);
}

bool CanRunFrom(int fd) {
  struct statvfs kind;
  return ::fstatvfs(fd, &kind) == 0 && (kind.f_flag & (ST_NOEXEC | ST_RDONLY)) == 0;
}

bool WriteAgent(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

}  // namespace

std::unique_ptr<const AgentFile> AgentFile::Make(std::string_view bytes) {
  // The first is in memory; where it takes no programs, as in containers, the second does.
  for (const std::string folder : {"/dev/shm", "/tmp"}) {
    SweepAgentFiles(folder);
    std::string path = folder + "/" + std::string(kAgentFilePrefix) + ProcessMark() + "-XXXXXX";
    const UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
    if (!file.valid()) continue;
    struct stat info;
    if (CanRunFrom(file.get()) && WriteAgent(file.get(), bytes) &&
        ::fchmod(file.get(), 0555) == 0 && ::fstat(file.get(), &info) == 0) {
      return std::unique_ptr<const AgentFile>(new AgentFile(path, info.st_dev, info.st_ino));
    }
    ::unlink(path.c_str());
  }
  return nullptr;
}

AgentFile::~AgentFile() {
  if (is_there()) ::unlink(path_.c_str());
}

bool AgentFile::is_there() const {
  struct stat info;
  return ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == number_;
}

}  // namespace taskmint::sandbox
