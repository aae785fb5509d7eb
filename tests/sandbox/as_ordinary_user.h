// This test program once more, as an ordinary user, who may not be able to reach its file.
#ifndef TASKMINT_TESTS_SANDBOX_AS_ORDINARY_USER_H_
#define TASKMINT_TESTS_SANDBOX_AS_ORDINARY_USER_H_

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

// Runs the tests of this program that `filter` names, and expects that they pass. `before` is run
// in the new process while it is still root's. Only as root.
inline void RunAsOrdinaryUser(
    const std::string& filter, const std::function<void()>& before = [] {}) {
  const UniqueFd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  struct stat info;
  ASSERT_EQ(::fstat(self.get(), &info), 0);
  const UniqueFd copy(::memfd_create("test", 0));
  for (off_t at = 0; at < info.st_size;) {
    ASSERT_GT(::sendfile(copy.get(), self.get(), &at, static_cast<size_t>(info.st_size - at)), 0);
  }
  ::fchmod(copy.get(), 0755);
  const pid_t child = ::fork();
  if (child == 0) {
    before();
    if (::setgroups(0, nullptr) == 0 &&
        ::setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 &&
        ::setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) == 0 && ::chdir("/") == 0) {
      std::string argument = "--gtest_filter=" + filter;
      char name[] = "test", path[] = "PATH=/usr/bin:/bin";
      char* const argv[] = {name, argument.data(), nullptr};
      char* const variables[] = {path, nullptr};
      ::fexecve(copy.get(), argv, variables);
    }
    ::_exit(99);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "see above";
}

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_AS_ORDINARY_USER_H_
