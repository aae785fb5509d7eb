// The namespace in which roots are built shows this machine as it is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <string>

#include "sandbox/bubblewrap.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

constexpr char kPlace[] = "/usr/games";  // of Debian's base-files, hidden by nothing

// Whether this is the process of RunWithOwnMounts.
bool HasOwnMounts() {
  std::array<char, 64> ours{}, its{};
  const std::string parent = "/proc/" + std::to_string(::getppid()) + "/ns/mnt";
  return ::readlink("/proc/self/ns/mnt", ours.data(), ours.size()) > 0 &&
         ::readlink(parent.c_str(), its.data(), its.size()) > 0 && ours != its;
}

bool OwnMounts() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// As containers without rights make them: devices bound over empty files.
bool MakeDevicesOfContainer(const std::string& folder) {
  if (!OwnMounts() || ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "mode=0755") != 0) return false;
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    const std::string file = folder + "/" + name;
    std::ofstream(file).close();
    if (::mount((std::string("/dev/") + name).c_str(), file.c_str(), nullptr, MS_BIND, nullptr) !=
        0) {
      return false;
    }
  }
  return ::mount(folder.c_str(), "/dev", nullptr, MS_MOVE, nullptr) == 0;
}

std::string Seen(const std::string& script) {
  const CommandResult result = RunIn(*OpenSandbox(), Shell(script));
  return result.output + result.error_output;
}

TEST(StagingTest, MountsThatComeAndGoAreSeenByTheNextSandbox) {
  if (::geteuid() != 0) return;  // who else could mount over /usr
  if (!HasOwnMounts()) {
    EXPECT_EQ(RunAgain("StagingTest.MountsThatComeAndGo*", OwnMounts), 0) << "see above";
    return;
  }
  const std::string look = std::string("ls ") + kPlace;
  const std::string before = Seen(look);
  ASSERT_EQ(::mount("tmpfs", kPlace, "tmpfs", 0, "mode=0755"), 0);
  std::ofstream(std::string(kPlace) + "/new") << "new";
  EXPECT_EQ(Seen(look), "new\n");
  ASSERT_EQ(::umount2(kPlace, 0), 0);  // and nothing of ours holds it
  EXPECT_EQ(Seen(look), before);
}

TEST(StagingTest, WhatCouldNotBeMadeAgainIsTriedAgain) {
  if (::geteuid() != 0) return;
  if (!HasOwnMounts()) {
    EXPECT_EQ(RunAgain("StagingTest.WhatCouldNotBeMadeAgain*", OwnMounts), 0) << "see above";
    return;
  }
  const auto parts = MakeHostParts();
  ASSERT_TRUE(parts.ok() && (*parts)->staging != nullptr);
  Staging& staging = *(*parts)->staging;
  const auto former = staging.Current();
  EXPECT_EQ(staging.Current(), former) << "nothing has changed";
  ASSERT_EQ(::mount("tmpfs", kPlace, "tmpfs", 0, "mode=0755"), 0);
  rlimit files;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none{3, files.rlim_max};  // none but those that are open
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto meanwhile = staging.Current();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(meanwhile, former);
  EXPECT_NE(staging.Current(), former);
}

TEST(StagingTest, DevicesThatAreBoundOverFilesAreDevicesInside) {
  if (::geteuid() != 0) return;
  if (!HasOwnMounts()) {
    const HostFolder folder;
    EXPECT_EQ(RunAgain("StagingTest.DevicesThatAreBound*",
                       [&] { return MakeDevicesOfContainer(folder.path()); }),
              0)
        << "see above";
    return;
  }
  EXPECT_EQ(Seen("head -c 4 /dev/urandom | wc -c; echo x > /dev/null; cat /dev/null; "
                 "test -c /dev/null && test -c /dev/full && test -c /dev/tty && echo devices"),
            "4\ndevices\n");
}

}  // namespace
}  // namespace taskmint::sandbox
