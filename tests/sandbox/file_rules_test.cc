// The second wall alone, in a process of the test's own.
#include "sandbox/agent/file_rules.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "sandbox/agent/mounts.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

bool KernelHasRules() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0U, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
}

// What `act` returned in a process that is restricted to `writable`; -1 where it was not.
int Restricted(const std::vector<std::string>& writable, const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::_exit(RestrictFiles(writable) ? act() : 255);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

// 0, or the error.
int Create(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  return file.valid() ? 0 : errno;
}

TEST(FileRulesTest, OnlyWhatIsNamedCanBeWritten) {
  const HostFolder allowed, other;
  const std::string file = other.Write("file", "kept");
  const auto restricted = [&](const std::function<int()>& act) {
    return Restricted({allowed.path(), "/nowhere"}, act);
  };
  if (!KernelHasRules()) {
    EXPECT_EQ(restricted([] { return 0; }), -1);
    return;
  }
  EXPECT_EQ(restricted([&] { return Create(allowed.path() + "/new"); }), 0);
  EXPECT_EQ(restricted([&] { return Create(other.path() + "/new"); }), EACCES);
  EXPECT_EQ(restricted([&] { return ::truncate(file.c_str(), 0) == 0 ? 0 : errno; }), EACCES);
  EXPECT_EQ(restricted([&] { return ::unlink(file.c_str()) == 0 ? 0 : errno; }), EACCES);
  EXPECT_EQ(restricted([&] { return ReadAll(file) == "kept" ? 0 : 1; }), 0);
  EXPECT_EQ(restricted([&] {
              const std::string from = allowed.path() + "/new", folder = allowed.path() + "/folder";
              ::mkdir(folder.c_str(), 0755);
              return ::rename(from.c_str(), (folder + "/moved").c_str()) == 0 ? 0 : errno;
            }),
            0);
}

TEST(FileRulesTest, NothingIsMountedAndNoDeviceMadeEvenByRoot) {
  if (!KernelHasRules() || ::geteuid() != 0) return;  // others could not anyway
  const HostFolder allowed;
  const std::string node = allowed.path() + "/null";
  EXPECT_EQ(Restricted({"/"},
                       [&] {
                         const int made = ::mount("tmpfs", allowed.path().c_str(), "tmpfs", 0, "");
                         return made == 0 ? 0 : errno;
                       }),
            EPERM);
  EXPECT_EQ(
      Restricted({"/"},
                 [&] { return ::mknod(node.c_str(), S_IFCHR | 0600, 0x103) == 0 ? 0 : errno; }),
      EACCES);
}

TEST(FileRulesTest, ASandboxHasThem) {
  // The kernel stacks sixteen sets of rules.
  const CommandResult result =
      RunIn(*OpenSandbox(), Python("import ctypes\n"
                                   "c = ctypes.CDLL(None, use_errno=True)\n"
                                   "f = c.syscall(444, (ctypes.c_uint64 * 1)(1 << 6), 8, 0)\n"
                                   "n = 0\n"
                                   "while f >= 0 and n < 99 and c.syscall(446, f, 0) == 0: n += 1\n"
                                   "print(n)\n"));
  EXPECT_EQ(result.output, KernelHasRules() ? "15\n" : "0\n") << result.error_output;
}

TEST(FileRulesTest, MountsThatCanBeWrittenAreFound) {
  const std::vector<WritableMount> mounts = WritableMounts();
  EXPECT_TRUE(std::any_of(mounts.begin(), mounts.end(), [](const WritableMount& mount) {
    return mount.type == "proc" && mount.path == "/proc";
  }));
}

}  // namespace
}  // namespace taskmint::sandbox
