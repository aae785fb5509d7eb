#include "sandbox/agent/file_rules.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

// What headers of older kernels lack.
constexpr uint64_t kTruncate = uint64_t{1} << 14;     // version 3
constexpr uint64_t kDeviceIoctl = uint64_t{1} << 15;  // version 5
constexpr uint64_t kScopeAbstractSockets = 1;         // version 6
constexpr uint64_t kScopeSignals = 2;                 // version 6

struct Ruleset {
  uint64_t files = 0;
  uint64_t network = 0;  // since version 4; left to the network namespace
  uint64_t scoped = 0;   // since version 6
};

// Before version 2 no file could move from one folder to another.
constexpr long kVersionMin = 2;

// Of a file that is not a folder.
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kDeviceIoctl;
constexpr uint64_t kOfDevices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr uint64_t kOfFolders = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;

Ruleset RulesOf(long version) {
  Ruleset rules;
  rules.files = kOfFiles | kOfDevices | kOfFolders;
  if (version < 3) rules.files &= ~kTruncate;
  if (version < 5) rules.files &= ~kDeviceIoctl;
  if (version >= 6) rules.scoped = kScopeAbstractSockets | kScopeSignals;
  return rules;
}

// The kernel takes a longer structure than it knows only while the rest is zero.
size_t SizeOf(long version) {
  if (version < 4) return sizeof(uint64_t);
  return version < 6 ? 2 * sizeof(uint64_t) : sizeof(Ruleset);
}

bool Allow(int ruleset, const std::string& path, uint64_t handled) {
  const UniqueFd place(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info;
  if (!place.valid() || fstat(place.get(), &info) != 0) return errno == ENOENT;
  landlock_path_beneath_attr rule{};
  rule.parent_fd = place.get();
  rule.allowed_access = handled & (S_ISDIR(info.st_mode) ? kOfFiles | kOfFolders : kOfFiles);
  return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) == 0;
}

}  // namespace

bool RestrictFiles(const std::vector<std::string>& writable) {
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0U, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < kVersionMin) return false;
  const Ruleset rules = RulesOf(version);
  const UniqueFd ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, SizeOf(version), 0U)));
  if (!ruleset.valid()) return false;
  for (const std::string& path : writable) {
    if (!Allow(ruleset.get(), path, rules.files)) return false;
  }
  return syscall(SYS_landlock_restrict_self, ruleset.get(), 0U) == 0;
}

}  // namespace taskmint::sandbox
