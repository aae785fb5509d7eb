#include "sandbox/agent/usage.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sandbox/agent/folders.h"
#include "sandbox/agent/mounts.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kFileBytesMax = 64 << 10;
// Less than a file takes.
constexpr uint64_t kFullBytes = 4096;

// A small file of /proc; empty where it cannot be read.
std::string ReadSmall(const std::string& path, size_t bytes_max = kFileBytesMax) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(std::min(bytes_max, kFileBytesMax), '\0');
  size_t size = 0;
  while (file.valid() && size < bytes_max) {
    if (size == text.size()) text.resize(std::min(bytes_max, 2 * size));
    const ssize_t some = read(file.get(), text.data() + size, text.size() - size);
    if (some < 0 && errno == EINTR) continue;
    if (some <= 0) break;
    size += static_cast<size_t>(some);
  }
  text.resize(size);
  return text;
}

// The next word of `text`, which is taken from it.
std::string_view TakeWord(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

std::string ReadLink(const std::string& path) {
  char target[256];
  const ssize_t size = readlink(path.c_str(), target, sizeof target);
  return {target, size > 0 ? static_cast<size_t>(size) : 0};
}

uint64_t Number(std::string_view digits) {
  uint64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') break;
    value = value * 10 + static_cast<uint64_t>(digit - '0');
  }
  return value;
}

// Own and waited-for children's, in ticks: fields 14 to 17 of proc_pid_stat(5).
uint64_t TicksOf(const std::string& stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > stat.size()) return 0;
  std::string_view rest = std::string_view(stat).substr(name_end + 2);
  for (int field = 3; field < 14; ++field) TakeWord(rest, ' ');
  uint64_t ticks = 0;
  for (int field = 14; field <= 17; ++field) ticks += Number(TakeWord(rest, ' '));
  return ticks;
}

}  // namespace

uint64_t CpuMicroseconds(const rusage& usage) {
  const auto microseconds = [](const timeval& time) {
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
  };
  return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

// Where the container's /proc is all there is, what is not of this sandbox is in it, too. Its
// numbers are the container's: this process's own is another than it knows.
bool IsForeign(const char* pid) {
  static const bool has_own = ReadLink("/proc/self") == std::to_string(getpid());
  if (has_own) return false;
  static const std::string inside = ReadLink("/proc/self/ns/pid");
  return ReadLink("/proc/self") == pid ||
         ReadLink(std::string("/proc/") + pid + "/ns/pid") != inside;
}

uint64_t CpuMicrosecondsInside() {
  const UniqueFd proc(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const uint64_t tick_us = 1'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  uint64_t total = 0;
  ForEachName(proc.get(), [&](const char* name) {
    if (name[0] < '0' || name[0] > '9' || std::string_view(name) == "1" || IsForeign(name)) {
      return 0;
    }
    total += tick_us * TicksOf(ReadSmall(std::string("/proc/") + name + "/stat"));
    return 0;
  });
  rusage reaped;
  if (getrusage(RUSAGE_CHILDREN, &reaped) == 0) total += CpuMicroseconds(reaped);
  return total;
}

WritableFileSystems::WritableFileSystems() {
  for (const WritableMount& mount : WritableMounts()) {
    // An overlay that can be written to tells of the file system in memory that takes it.
    if (mount.type == "tmpfs" || mount.type == "overlay") paths_.push_back(mount.path);
  }
}

uint64_t WritableFileSystems::UsedBytes() const {
  uint64_t used = 0;
  struct statvfs room;
  for (const std::string& path : paths_) {
    if (statvfs(path.c_str(), &room) == 0) used += (room.f_blocks - room.f_bfree) * room.f_frsize;
  }
  return used;
}

bool WritableFileSystems::AnyIsFull() const {
  struct statvfs room;
  for (const std::string& path : paths_) {
    if (statvfs(path.c_str(), &room) != 0) continue;
    if (room.f_bavail * room.f_frsize < kFullBytes) return true;
    if (room.f_files > 0 && room.f_ffree == 0) return true;
  }
  return false;
}

}  // namespace taskmint::sandbox
