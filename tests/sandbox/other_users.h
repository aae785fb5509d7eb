// A test program again, as a user who is not root, or as a root who may not mount.
#ifndef TASKMINT_TESTS_SANDBOX_OTHER_USERS_H_
#define TASKMINT_TESTS_SANDBOX_OTHER_USERS_H_

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "sandbox/fd.h"

namespace taskmint::sandbox {

inline constexpr uid_t kOrdinaryUser = 61'234;

// The exit status of this program's tests that match `filter`, run after `become` said true in the
// new process. The program's file need not be within reach of what it becomes.
inline int RunAgain(std::string filter, const std::function<bool()>& become) {
  const UniqueFd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  struct stat info;
  EXPECT_EQ(::fstat(self.get(), &info), 0);
  const UniqueFd copy(::memfd_create("test", 0));
  for (off_t at = 0; at < info.st_size;) {
    if (::sendfile(copy.get(), self.get(), &at, static_cast<size_t>(info.st_size - at)) <= 0) {
      ADD_FAILURE() << "cannot copy this program";
      return -1;
    }
  }
  ::fchmod(copy.get(), 0755);
  filter = "--gtest_filter=" + filter;
  const pid_t child = ::fork();
  if (child == 0) {
    if (become() && ::chdir("/") == 0) {
      char name[] = "test", path[] = "PATH=/usr/bin:/bin";
      char* const argv[] = {name, filter.data(), nullptr};
      char* const variables[] = {path, nullptr};
      ::fexecve(copy.get(), argv, variables);
    }
    ::_exit(99);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

// By an ordinary user. `before` is run in the new process while it is still root's. Root only.
inline int RunAsOrdinaryUser(
    const std::string& filter, const std::function<void()>& before = [] {}) {
  return RunAgain(filter, [&] {
    before();
    return ::setgroups(0, nullptr) == 0 &&
           ::setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 &&
           ::setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0;
  });
}

// Whether this is a root as containers have: without the right to mount.
inline bool IsBoundedRoot() {
  return ::geteuid() == 0 && ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0;
}

// By such a root. Root only.
inline int RunAsBoundedRoot(const std::string& filter) {
  return RunAgain(filter, [] { return ::prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) == 0; });
}

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_OTHER_USERS_H_
