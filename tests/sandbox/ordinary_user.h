// A test program again, as a user who is not root.
#ifndef TASKMINT_TESTS_SANDBOX_ORDINARY_USER_H_
#define TASKMINT_TESTS_SANDBOX_ORDINARY_USER_H_

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "sandbox/fd.h"

namespace taskmint::sandbox {

inline constexpr uid_t kOrdinaryUser = 61'234;

// The exit status of this program's tests that match `filter`, run by an ordinary user, who may not
// be able to reach its file. `before` is run in the new process while it is still root's. Root
// only.
inline int RunAsOrdinaryUser(
    std::string filter, const std::function<void()>& before = [] {}) {
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
    before();
    if (::setgroups(0, nullptr) == 0 &&
        ::setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 &&
        ::setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 && ::chdir("/") == 0) {
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

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_ORDINARY_USER_H_
