#include "sandbox/process_mark.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "proto/base/digest.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kDigitsOfPlace = 8;

// "0f3a52c1-".
const std::string& PlaceMark() {
  static const std::string mark = [] {
    std::string start;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> start;
    struct stat space {};
    ::stat("/proc/self/ns/pid", &space);
    return Sha256Hex(start + " " + std::to_string(space.st_ino)).substr(0, kDigitsOfPlace) + "-";
  }();
  return mark;
}

}  // namespace

std::string ProcessMark() { return PlaceMark() + std::to_string(::getpid()); }

bool IsOfDeadProcess(std::string_view text) {
  if (!text.starts_with(PlaceMark())) return false;
  const pid_t pid = std::atoi(std::string(text.substr(PlaceMark().size(), 10)).c_str());
  return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace taskmint::sandbox
