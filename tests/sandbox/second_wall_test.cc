// The second wall alone, in a process of the test's own, and in a sandbox.
#include "sandbox/agent/second_wall.h"

#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>

#include "sandbox/agent/mounts.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

long Version() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0U, LANDLOCK_CREATE_RULESET_VERSION);
}

// What `act` returned in a process behind the wall; -1 where there is none.
int BehindIt(const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::_exit(RaiseSecondWall() ? act() : 255);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

int ErrorOf(int result) { return result == 0 ? 0 : errno; }

TEST(SecondWallTest, FilesAreMovedAndWrittenAsBefore) {
  const HostFolder folder;
  const std::string file = folder.Write("file", "kept"), below = folder.path() + "/below";
  const int moved = BehindIt([&] {
    if (::mkdir(below.c_str(), 0755) != 0) return errno;
    return ErrorOf(std::rename(file.c_str(), (below + "/moved").c_str()));
  });
  if (Version() < 2) {
    EXPECT_EQ(moved, -1);
    return;
  }
  EXPECT_EQ(moved, 0);
  EXPECT_EQ(ReadAll(below + "/moved"), "kept");
}

TEST(SecondWallTest, NothingIsMountedAndNoDeviceMadeEvenByRoot) {
  if (Version() < 2 || ::geteuid() != 0) return;  // others could not anyway
  const HostFolder folder;
  const std::string node = folder.path() + "/null";
  EXPECT_EQ(
      BehindIt([&] { return ErrorOf(::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "")); }),
      EPERM);
  EXPECT_EQ(BehindIt([&] { return ErrorOf(::mknod(node.c_str(), S_IFCHR | 0600, 0x103)); }),
            EACCES);
}

TEST(SecondWallTest, ProcessesOfOthersAreOutOfReach) {
  if (Version() < 6) return;
  const pid_t self = ::getpid();
  EXPECT_EQ(BehindIt([&] { return ErrorOf(::kill(self, 0)); }), EPERM);
  const std::string root = "/proc/" + std::to_string(self) + "/root";
  char target[64];
  EXPECT_EQ(
      BehindIt([&] { return ::readlink(root.c_str(), target, sizeof target) >= 0 ? 0 : errno; }),
      EACCES);
}

TEST(SecondWallTest, ASandboxHasIt) {
  // The kernel stacks sixteen sets of rules.
  const CommandResult result =
      RunIn(*OpenSandbox(), Python("import ctypes\n"
                                   "c = ctypes.CDLL(None, use_errno=True)\n"
                                   "f = c.syscall(444, (ctypes.c_uint64 * 1)(1 << 6), 8, 0)\n"
                                   "n = 0\n"
                                   "while f >= 0 and n < 99 and c.syscall(446, f, 0) == 0: n += 1\n"
                                   "print(n)\n"));
  EXPECT_EQ(result.output, Version() >= 2 ? "15\n" : "0\n") << result.error_output;
}

TEST(SecondWallTest, MountsThatCanBeWrittenAreFound) {
  const std::vector<WritableMount> mounts = WritableMounts();
  EXPECT_TRUE(std::any_of(mounts.begin(), mounts.end(), [](const WritableMount& mount) {
    return mount.type == "proc" && mount.path == "/proc";
  }));
}

}  // namespace
}  // namespace taskmint::sandbox
