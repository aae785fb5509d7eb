// Sandboxes whose root is another tree than the host's, and trees that mean harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>

#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/other_users.h"
#include "tests/sandbox/small_base.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

SandboxSpec On(const SmallBase& base) {
  SandboxSpec spec;
  spec.base_path = base.path();
  return spec;
}

std::string Seen(const SandboxSpec& spec, const std::string& script) {
  const auto sandbox = OpenSandbox(spec);
  if (sandbox == nullptr) return "no sandbox";
  const CommandResult result = RunIn(*sandbox, Shell(script));
  return result.output + result.error_output;
}

TEST(BaseTreeTest, TheTreeIsTheWholeRoot) {
  const SmallBase base;
  base.Write("etc/told", "by the tree\n");
  base.Write("etc/ld.so.cache", "of the tree");
  base.Write("etc/passwd", "nobody's\n");
  base.Write("srv/deep/file", "served\n");
  base.Write("top", "at the top\n");
  base.Link("told", "etc/link");
  base.Link("srv/deep", "short");
  EXPECT_EQ(Seen(On(base),
                 "cat /etc/told /etc/link /etc/ld.so.cache /srv/deep/file /short/file /top; "
                 "readlink /bin; ls /usr"),
            "by the tree\nby the tree\nof the treeserved\nserved\nat the top\nusr/bin\n"
            "bin\nlib\nlib64\nsbin\n");
  EXPECT_THAT(Seen(On(base), "cat /etc/passwd /etc/hosts; id"),
              testing::AllOf(HasSubstr("dev:x:1000:"), HasSubstr("localhost taskmint"),
                             HasSubstr("uid=1000(dev)"), Not(HasSubstr("nobody's"))));
}

TEST(BaseTreeTest, OnlyWhatIsOursCanBeWrittenTo) {
  const SmallBase base;
  EXPECT_EQ(Seen(On(base),
                 "for f in /a /etc/a /usr/a /opt/a /etc/passwd /usr/bin/sh; do "
                 "(echo a >> $f) 2>/dev/null && echo wrote $f; done; "
                 "for f in /work/a /tmp/a /dev/shm/a; do echo a > $f || echo kept from $f; done"),
            "");
  EXPECT_FALSE(fs::exists(base.path() + "/opt/a"));
}

TEST(BaseTreeTest, NoLinkLeadsOutOfIt) {
  const HostFolder host;
  const std::string secret = host.Write("secret", "of the host\n");
  const SmallBase base;
  base.Link(secret, "secret");
  base.Link(host.path(), "var");
  base.Link(secret, "etc/secret");
  base.Link(host.path(), "etc/ssl");
  base.Link("/oldroot" + secret, "etc/old");
  base.Link("/proc/1/root" + secret, "etc/magic");
  base.Link("../../../../../../../.." + secret, "usr/secret");
  base.Link(host.path(), "usr/local");
  base.Link(secret, "etc/gitconfig");
  EXPECT_THAT(Seen(On(base),
                   "cat /secret /var/secret /etc/secret /etc/ssl/secret /etc/old /etc/magic "
                   "/usr/secret /usr/local/secret /etc/gitconfig; ls /oldroot"),
              testing::AllOf(Not(HasSubstr("of the host")), HasSubstr("[safe]")));
}

TEST(BaseTreeTest, PlacesOfOursMayLieBelowFoldersOfIt) {
  const HostFolder host;
  host.Write("shown", "by us\n");
  ASSERT_EQ(::chmod(host.path().c_str(), 0755), 0);
  const SmallBase base;
  base.Write("opt/there", "theirs\n");
  base.Write("opt/some/file", "deep\n");
  base.Write("data/old", "hidden\n");
  // Where bubblewrap keeps the host's root while it makes the new one.
  base.Link("/oldroot" + host.path(), "home");
  base.Write("mnt", "a file\n");
  SandboxSpec spec = On(base);
  spec.scratch_paths = {"/opt/venv/x", "/home/user", "/mnt/y"};
  spec.mounts = {{host.path(), "/data", false}, {host.path(), "/opt/some", false}};
  EXPECT_EQ(Seen(spec,
                 "cat /opt/there /data/shown /opt/some/shown; ls /data /opt; "
                 "for d in /opt/venv/x /home/user /mnt/y; do touch $d/f && ls $d; done"),
            "theirs\nby us\nby us\n/data:\nshown\n\n/opt:\nsome\nthere\nvenv\nf\nf\nf\n");
  EXPECT_FALSE(fs::exists(host.path() + "/user"));
}

TEST(BaseTreeTest, WhatIsMaskedIsMaskedInIt) {
  const SmallBase base;
  base.Write("usr/local/bin/tool", "#!/bin/sh\necho ran\n");
  fs::permissions(base.path() + "/usr/local/bin/tool", fs::perms(0755));
  SandboxSpec spec = On(base);
  EXPECT_EQ(Seen(spec, "ls /usr/local"), "");
  spec.masked_paths = {};
  EXPECT_EQ(Seen(spec, "tool"), "ran\n");
  // A mask goes where the tree's own links lead.
  base.Write("usr/share/kept/file", "x");
  base.Link("/usr/share/kept", "usr/kept");
  spec.masked_paths = {"/usr/kept"};
  EXPECT_EQ(Seen(spec, "ls /usr/share/kept; ls /usr/share"), "kept\n");
}

TEST(BaseTreeTest, SetuidFilesAndDeviceNodesHaveNoForce) {
  if (::geteuid() != 0) return;  // who could not make them
  const SmallBase base;
  const std::string program = base.path() + "/usr/bin/id";
  ASSERT_EQ(::chmod(program.c_str(), 06755), 0);
  ASSERT_EQ(::mknod((base.path() + "/opt/zero").c_str(), S_IFCHR | 0666, ::makedev(1, 5)), 0);
  EXPECT_EQ(Seen(On(base), "id -u; id -G"), "1000\n1000\n");
  EXPECT_THAT(Seen(On(base), "exec 3< /opt/zero && echo opened"),
              testing::AllOf(Not(HasSubstr("opened")), HasSubstr("ermission denied")));
}

TEST(BaseTreeTest, WhatIsNoRootTreeIsRefusedWithAReason) {
  const HostFolder folder;
  const auto refused = [](const std::string& path) {
    SandboxSpec spec;
    spec.base_path = path;
    const Status status = TestHost().Open(spec, {}).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << path << ": " << status.ToString();
    EXPECT_EQ(ReadBaseLayer(path).status().code(), Code::kInvalidArgument) << path;
    return status.message();
  };
  EXPECT_THAT(refused("relative"), HasSubstr("absolute"));
  EXPECT_THAT(refused("/no/such/folder"), HasSubstr("No such file"));
  EXPECT_THAT(refused(folder.Write("file", "")), HasSubstr("Not a directory"));
  EXPECT_THAT(refused(folder.path()), HasSubstr("its usr: No such file"));
  EXPECT_THAT(refused("/"), HasSubstr("root of this machine"));
  EXPECT_THAT(refused("/proc/self/root"), HasSubstr("root of this machine"));
  fs::create_symlink("/usr", folder.path() + "/usr");
  EXPECT_THAT(refused(folder.path()), HasSubstr("its usr is no folder"));
  const SmallBase base;
  fs::remove_all(base.path() + "/etc");
  base.Link("/etc", "etc");
  EXPECT_THAT(refused(base.path()), HasSubstr("its etc is no folder"));
}

TEST(BaseTreeTest, AFolderWithTooManyEntriesIsRefusedOnlyWhereItMustBeTakenApart) {
  const SmallBase base;
  for (int i = 0; i < 700; ++i) base.Write("opt/" + std::to_string(i), "");
  EXPECT_EQ(Seen(On(base), "ls /opt/699"), "/opt/699\n");
  SandboxSpec spec = On(base);
  spec.scratch_paths = {"/opt/venv"};
  const Status status = TestHost().Open(spec, {}).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("too many entries"));
}

constexpr char kPackages[] =
    "Package: b\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
    "Maintainer: x <x@x>\nDescription: x\n\n"
    "Package: a\nStatus: install ok installed\nVersion: 2\nArchitecture: amd64\n"
    "Maintainer: x <x@x>\nDescription: x\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 3\nArchitecture: all\n"
    "Maintainer: x <x@x>\nDescription: x\n\n";

TEST(BaseTreeTest, ItsPackageListNamesIt) {
  const SmallBase base;
  base.Write("var/lib/dpkg/status", kPackages);
  base.Write("usr/lib/os-release", "NAME=x\nPRETTY_NAME=\"A Small Tree 1\"\n");
  base.Link("../usr/lib/os-release", "etc/os-release");
  const Result<BaseLayer> layer = ReadBaseLayer(base.path());
  ASSERT_TRUE(layer.ok()) << layer.status().ToString();
  EXPECT_EQ(layer->name, "A Small Tree 1");
  EXPECT_FALSE(layer->is_of_files);
  EXPECT_THAT(layer->packages, testing::ElementsAre("a", "b"));
  EXPECT_NE(layer->package_list_digest, ReadBaseLayer()->package_list_digest);
  base.Write("usr/more", "no package's");
  EXPECT_EQ(ReadBaseLayer(base.path())->package_list_digest, layer->package_list_digest);
  base.Write("var/lib/dpkg/updates/0001", "");
  EXPECT_THAT(ReadBaseLayer(base.path()).status().message(), HasSubstr("being changed"));
  fs::remove_all(base.path() + "/var/lib/dpkg/updates");
  base.Write("var/lib/dpkg/status", "no list\n");
  EXPECT_EQ(ReadBaseLayer(base.path()).status().code(), Code::kInvalidArgument);
}

TEST(BaseTreeTest, WithoutAPackageListItsFilesNameIt) {
  const SmallBase base;
  // The host's list is not its own.
  base.Link("/var/lib", "usr/var");
  fs::create_directories(base.path() + "/var/lib");
  base.Link("/var/lib/dpkg", "var/lib/dpkg");
  const Result<BaseLayer> layer = ReadBaseLayer(base.path());
  ASSERT_TRUE(layer.ok()) << layer.status().ToString();
  EXPECT_TRUE(layer->is_of_files);
  EXPECT_EQ(layer->name, "unknown");
  EXPECT_TRUE(layer->packages.empty());
  base.Write("tmp/some", "is not shown");
  EXPECT_EQ(ReadBaseLayer(base.path())->package_list_digest, layer->package_list_digest);
  base.Write("usr/some", "is");
  EXPECT_NE(ReadBaseLayer(base.path())->package_list_digest, layer->package_list_digest);
}

TEST(BaseTreeTest, ReadingItsFilesEndsOnRequest) {
  const SmallBase base;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(ReadBaseLayer(base.path(), stop.get_token()).status().code(), Code::kCancelled);
}

TEST(BaseTreeTest, AnOrdinaryUserHasItLikewise) {
  if (::geteuid() != 0) return;  // the tests above were it
  EXPECT_EQ(RunAsOrdinaryUser("BaseTreeTest.*"), 0) << "see above";
}

}  // namespace
}  // namespace taskmint::sandbox
