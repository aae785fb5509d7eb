#include "sandbox/agent/second_wall.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "sandbox/fd.h"

namespace taskmint::sandbox {
namespace {

// What headers of older kernels lack; both since version 6.
constexpr uint64_t kScopeAbstractSockets = 1;
constexpr uint64_t kScopeSignals = 2;

struct Ruleset {
  uint64_t files = 0;
  uint64_t network = 0;  // since version 4; left to the network namespace
  uint64_t scoped = 0;   // since version 6
};

// Before version 2 no file could move from one folder to another.
constexpr long kVersionMin = 2;
constexpr long kVersionOfScopes = 6;

}  // namespace

bool RaiseSecondWall() {
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0U, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < kVersionMin) return false;
  Ruleset rules;
  rules.files =
      LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_REFER;
  size_t size = sizeof rules.files;  // what such a kernel knows
  if (version >= kVersionOfScopes) {
    rules.scoped = kScopeAbstractSockets | kScopeSignals;
    size = sizeof rules;
  }
  const UniqueFd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, size, 0U)));
  const UniqueFd root(open("/", O_PATH | O_CLOEXEC));
  if (!ruleset.valid() || !root.valid()) return false;
  // To move files between folders is denied unless it is allowed.
  landlock_path_beneath_attr everywhere{};
  everywhere.parent_fd = root.get();
  everywhere.allowed_access = LANDLOCK_ACCESS_FS_REFER;
  return syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &everywhere,
                 0U) == 0 &&
         syscall(SYS_landlock_restrict_self, ruleset.get(), 0U) == 0;
}

}  // namespace taskmint::sandbox
