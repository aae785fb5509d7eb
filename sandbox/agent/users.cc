#include "sandbox/agent/users.h"

#include <fcntl.h>
#include <grp.h>
#include <unistd.h>

#include "sandbox/agent/failure.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

bool WriteText(const char* path, const std::string& text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

int DropUser(uid_t uid) {
  if (uid == 0 || getuid() == uid) return 0;
  const gid_t gid = uid;
  if (setgroups(0, nullptr) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0)
    return 0;
  return Fail("drop to user", std::to_string(uid));
}

}  // namespace taskmint::sandbox
