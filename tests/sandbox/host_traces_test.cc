// What is left behind is seen, of each kind, and a sandbox leaves nothing.
#include "sandbox/host_traces.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sandbox/cgroup.h"
#include "sandbox/fd.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> ChangesSince(const HostTraces& before) {
  return HostTraces::Look().ChangesSince(before);
}

TEST(HostTracesTest, ASandboxLeavesNothing) {
  OpenSandbox();  // what stays of a first one is for the process's life
  const HostTraces before = HostTraces::Look();
  for (int i = 0; i < 3; ++i) {
    const auto sandbox = OpenSandbox();
    RunIn(*sandbox, Shell("setsid sleep 100 & echo kept > /dev/shm/taskmint-attack; ipcmk -M 10000;"
                          "echo kept > /tmp/taskmint-attack"));
  }
  EXPECT_THAT(ChangesSince(before), IsEmpty());
}

TEST(HostTracesTest, AnOpenSandboxIsSeen) {
  OpenSandbox();
  const HostTraces before = HostTraces::Look();
  const auto sandbox = OpenSandbox();
  const std::vector<std::string> changes = ChangesSince(before);
  EXPECT_THAT(changes, Contains(HasSubstr("process: ")));
  EXPECT_THAT(changes, Contains(HasSubstr("descriptor: ")));
  if (FindCgroupHome().kind != CgroupHome::Kind::kNone) {
    EXPECT_THAT(changes, Contains(HasSubstr("control group: ")));
  }
}

TEST(HostTracesTest, FilesObjectsAndDescriptorsAreSeen) {
  const HostTraces before = HostTraces::Look();
  const std::string file = "/dev/shm/taskmint-attack-" + Marker();
  std::ofstream(file) << "left";
  const int memory = ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  ASSERT_GE(memory, 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::vector<std::string> changes = ChangesSince(before);
  std::filesystem::remove(file);
  ::shmctl(memory, IPC_RMID, nullptr);
  EXPECT_THAT(changes, Contains("file: " + file));
  EXPECT_THAT(changes, Contains(HasSubstr("System V shm: ")));
  EXPECT_THAT(changes, Contains(HasSubstr("descriptor: socket:")));
}

// In a namespace of its own, where this process may change what it looks at.
int LookInANamespace(int flags, const std::function<bool()>& change, const std::string& seen) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(flags) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      ::_exit(2);
    }
    const HostTraces before = HostTraces::Look();
    if (!change()) ::_exit(3);
    for (const std::string& one : ChangesSince(before)) {
      if (one.find(seen) != std::string::npos) ::_exit(0);
    }
    ::_exit(1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

TEST(HostTracesTest, MountsAndSettingsAreSeen) {
  if (::geteuid() != 0) return;  // others can change neither
  const HostFolder folder;
  EXPECT_EQ(
      LookInANamespace(
          CLONE_NEWNS, [&] { return ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "") == 0; },
          "mount: "),
      0);
  EXPECT_EQ(LookInANamespace(
                CLONE_NEWNS | CLONE_NEWUTS, [] { return ::sethostname("attacked", 8) == 0; },
                "/proc/sys/kernel/hostname"),
            0);
}

}  // namespace
}  // namespace taskmint::sandbox
