// Hostile and clumsy code inside, and what it must not reach or use up.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "sandbox/fd.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Everything that runs inside but the agent and this listing.
constexpr char kOthersInside[] =
    "import os; print([p for p in os.listdir('/proc') if p.isdigit() and int(p) not in "
    "(1, os.getpid())])";

TEST(ContainmentTest, AHangIsKilledAtTheWallLimitWithAllItStarted) {
  auto sandbox = OpenSandbox();
  Command command =
      Shell("trap '' TERM INT HUP; setsid sleep 1000 & (setsid sleep 1000 &) ; sleep 1000");
  command.wall_ms_max = 300;
  const CommandResult result = RunIn(*sandbox, command);
  EXPECT_EQ(result.ending, Ending::kWallTime);
  EXPECT_GE(result.wall_ms, 300);
  EXPECT_LT(result.wall_ms, 5000);
  EXPECT_EQ(RunIn(*sandbox, Python(kOthersInside)).output, "[]\n");
}

TEST(ContainmentTest, AForkBombIsContainedAndSweptAway) {
  SandboxSpec spec;
  spec.limits.processes_max = 48;
  auto sandbox = OpenSandbox(spec);
  auto bystander = OpenSandbox(spec);
  Command command = Python(
      "import os\n"
      "n = 0\n"
      "while True:\n"
      "  try:\n"
      "    if os.fork() == 0: n = 0\n"
      "  except OSError: n += 1\n");
  command.wall_ms_max = 700;
  EXPECT_EQ(RunIn(*sandbox, command).ending, Ending::kWallTime);
  EXPECT_EQ(RunIn(*bystander, Shell("echo unharmed")).output, "unharmed\n");
  EXPECT_TRUE(sandbox->KillAll().ok());
  EXPECT_EQ(RunIn(*sandbox, Python(kOthersInside)).output, "[]\n");
}

TEST(ContainmentTest, ProcessesAndThreadsStopAtTheLimit) {
  SandboxSpec spec;
  spec.limits.processes_max = 20;
  auto sandbox = OpenSandbox(spec);
  const CommandResult result =
      RunIn(*sandbox, Python("import os, time\n"
                             "n = 0\n"
                             "try:\n"
                             "  while n < 100:\n"
                             "    if os.fork() == 0: time.sleep(60); os._exit(0)\n"
                             "    n += 1\n"
                             "except OSError as e: print(n, e.errno)\n"));
  EXPECT_EQ(result.output, "19 11\n") << result.error_output;
}

TEST(ContainmentTest, WritesBeyondTheDiskLimitFailInEveryFolder) {
  SandboxSpec spec;
  spec.limits.disk_bytes_max = 32 << 20;
  spec.limits.file_bytes_max = int64_t{20} << 30;
  auto sandbox = OpenSandbox(spec);
  for (const char* folder : {"/work", "/tmp", "/dev/shm"}) {
    const CommandResult result = RunIn(
        *sandbox, Shell(std::string("dd if=/dev/zero of=") + folder + "/big bs=1M count=10240"));
    EXPECT_THAT(result.error_output, HasSubstr("No space left")) << folder;
  }
  FileTree tree;
  ASSERT_TRUE(tree.Set("x", RegularFile("x")).ok());
  ASSERT_TRUE(tree.Set("y", RegularFile(std::string(1 << 20, 'y'))).ok());
  EXPECT_EQ(sandbox->Put(tree, "/work/more", 0).code(), Code::kResourceExhausted);
  EXPECT_TRUE(sandbox->Clear("/work").ok());
  EXPECT_TRUE(sandbox->Put(tree, "/work/more", 0).ok());
}

TEST(ContainmentTest, AFileBeyondItsLimitIsCut) {
  SandboxSpec spec;
  spec.limits.file_bytes_max = 1 << 20;
  auto sandbox = OpenSandbox(spec);
  const CommandResult result = RunIn(
      *sandbox, Shell("dd if=/dev/zero of=/tmp/f bs=64k count=100 2>/dev/null; stat -c %s /tmp/f"));
  EXPECT_EQ(result.output, "1048576\n");
}

TEST(ContainmentTest, AMemoryHogEndsForWantOfMemory) {
  SandboxSpec spec;
  spec.limits.memory_bytes_max = 400 << 20;
  auto sandbox = OpenSandbox(spec);
  Command command = Python("import os\nx = [os.urandom(1 << 20) for i in range(4096)]");
  const CommandResult result = RunIn(*sandbox, command);
  // By the control group, or by the limit of the process where there is none.
  if (result.ending == Ending::kExited) {
    EXPECT_THAT(result.error_output, HasSubstr("MemoryError"));
  } else {
    EXPECT_EQ(result.ending, Ending::kMemory);
  }
  EXPECT_EQ(RunIn(*sandbox, Shell("echo usable")).output, "usable\n");
}

TEST(ContainmentTest, EndlessOutputIsCutAndKilled) {
  auto sandbox = OpenSandbox();
  Command command = Shell("echo first; yes");
  command.output_bytes_max = 10'000;
  const CommandResult result = RunIn(*sandbox, command);
  EXPECT_EQ(result.ending, Ending::kOutput);
  EXPECT_THAT(result.output, ::testing::StartsWith("first\ny\n"));
  EXPECT_THAT(result.output, HasSubstr("bytes cut"));
  EXPECT_LT(result.output.size(), 11'000U);
}

TEST(ContainmentTest, LongOutputKeepsHeadAndTail) {
  auto sandbox = OpenSandbox();
  Command command = Shell("seq 1 10000; seq 1 10000 >&2");
  command.output_bytes_max = 2000;
  const CommandResult result = RunIn(*sandbox, command);
  EXPECT_EQ(result.ending, Ending::kExited);
  for (const std::string& text : {result.output, result.error_output}) {
    EXPECT_THAT(text, ::testing::StartsWith("1\n2\n"));
    EXPECT_THAT(text, ::testing::EndsWith("\n9999\n10000\n"));
    EXPECT_THAT(text, HasSubstr("bytes cut"));
  }
}

TEST(ContainmentTest, TheHostsNetworkIsOutOfReach) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  auto sandbox = OpenSandbox();
  const CommandResult result =
      RunIn(*sandbox, Python("import socket\n"
                             "def reach(a):\n"
                             "  try: socket.create_connection(a, 2); return 'reached'\n"
                             "  except OSError as e: return e.errno\n"
                             "print(reach(('127.0.0.1', " +
                             std::to_string(ntohs(address.sin_port)) +
                             ")), reach(('192.0.2.1', 80)), reach(('169.254.169.254', 80)))\n"
                             "print([n for _, n in socket.if_nameindex()])"));
  EXPECT_EQ(result.output, "111 101 101\n['lo']\n") << result.error_output;
}

TEST(ContainmentTest, NothingOfTheHostCanBeWritten) {
  const HostFolder folder;
  ::chmod(folder.path().c_str(), 0777);
  SandboxSpec spec;
  spec.mounts = {{folder.path(), "/layer", false}};
  auto sandbox = OpenSandbox(spec);
  for (const char* path :
       {"/usr/x", "/usr/lib/x", "/etc/x", "/x", "/layer/x", "/sbx/x", "/dev/x", "/proc/sys/x",
        "/usr/local/x", "/bin/x", "/etc/passwd", "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger", "/sbx/agent", "/proc/1/oom_score_adj"}) {
    const CommandResult result =
        RunIn(*sandbox, Shell(std::string("echo hacked > ") + path + " && echo written"));
    EXPECT_THAT(result.output, Not(HasSubstr("written"))) << path;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ContainmentTest, TheHostsFilesAndVariablesAreNotThere) {
  ::setenv("TASKMINT_TEST_SECRET", "c4n4ry", 1);
  auto sandbox = OpenSandbox();
  const CommandResult variables = RunIn(
      *sandbox, Shell("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"));
  EXPECT_THAT(variables.output, Not(HasSubstr("c4n4ry")));
  EXPECT_THAT(variables.output, HasSubstr("PATH=/usr/bin:/bin\n"));
  const CommandResult files = RunIn(*sandbox, Shell("ls -A / /etc /usr/local"));
  for (const char* name : {"root", "home", "var", "mnt", "shadow", "hostname", "resolv.conf"}) {
    EXPECT_THAT(files.output, Not(HasSubstr(std::string("\n") + name + "\n")));
  }
  EXPECT_THAT(files.output, ::testing::EndsWith("/usr/local:\n"));
  const CommandResult ids =
      RunIn(*sandbox, Shell("id; hostname; echo ~; grep ^Cap /proc/self/status"));
  EXPECT_THAT(ids.output, HasSubstr("uid=1000(dev) gid=1000(dev)"));
  EXPECT_THAT(ids.output, HasSubstr("\ntaskmint\n/tmp\n"));
  EXPECT_THAT(ids.output, HasSubstr("CapEff:\t0000000000000000\nCapBnd:\t0000000000000000"));
}

TEST(ContainmentTest, PythonPackagesOfTheHostAreHidden) {
  auto sandbox = OpenSandbox();
  const CommandResult result = RunIn(
      *sandbox, Python("import sys, os\n"
                       "print([n for p in sys.path if p.endswith('-packages') and os.path.isdir(p) "
                       "for n in os.listdir(p)])\n"
                       "import json, sqlite3, ssl, ctypes"));
  EXPECT_EQ(result.output, "[]\n");
  EXPECT_EQ(result.exit_code, 0) << result.error_output;
}

TEST(ContainmentTest, OnlyStandardDescriptorsArePassedOn) {
  auto sandbox = OpenSandbox();
  // 3 is the listing's own.
  EXPECT_EQ(RunIn(*sandbox, Python("import os; print(os.listdir('/proc/self/fd'))")).output,
            "['0', '1', '2', '3']\n");
  // They can be opened again by name, as scripts do.
  EXPECT_EQ(RunIn(*sandbox, Shell("echo a > /dev/stdout; echo b > /dev/stderr")).error_output,
            "b\n");
}

TEST(ContainmentTest, DangerousSystemCallsAreDenied) {
  auto sandbox = OpenSandbox();
  const CommandResult result = RunIn(*sandbox, Python(R"(
import ctypes, errno, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == 'x86_64'
def call(a, b, *args):
    ctypes.set_errno(0)
    result = libc.syscall(a if x86 else b, *[ctypes.c_long(x) for x in args])
    return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
print('ptrace', call(101, 117, 16, 1, 0, 0))
print('process_vm_readv', call(310, 270, 1, 0, 0, 0, 0, 0))
print('keyctl', call(250, 219, 0, -3, 0))
print('add_key', call(248, 217, 0, 0, 0, 0, 0))
print('bpf', call(321, 280, 0, 0, 0))
print('perf_event_open', call(298, 241, 0, 0, 0, 0, 0))
print('userfaultfd', call(323, 282, 0))
print('unshare', call(272, 97, 0x10000000))
print('setns', call(308, 268, 0, 0))
print('mount', call(165, 40, 0, 0, 0, 0, 0))
print('fsopen', call(430, 430, 0, 0))
print('chroot', call(161, 51, 0))
print('clone newuser', call(56, 220, 0x10000000 | 17, 0, 0, 0, 0))
print('open_by_handle_at', call(304, 265, 0, 0, 0))
print('kexec_load', call(246, 104, 0, 0, 0, 0))
print('prlimit of the agent', call(302, 261, 1, 7, ctypes.addressof((ctypes.c_long * 2)(0, 0)), 0))
print('ioctl TIOCSTI', call(16, 29, 0, 0x5412 | 1 << 40, 0))
def sock(*args):
    try: socket.socket(*args); return 'ok'
    except OSError as e: return errno.errorcode[e.errno]
print('vsock', sock(40, 1)); print('packet', sock(17, 3)); print('raw', sock(2, 3, 1))
print('netlink audit', sock(16, 3, 9)); print('bluetooth', sock(31, 3)); print('alg', sock(38, 5))
)"));
  EXPECT_EQ(result.exit_code, 0) << result.error_output;
  size_t lines = 0;
  std::istringstream stream(result.output);
  for (std::string line; std::getline(stream, line); ++lines) {
    EXPECT_THAT(line, ::testing::EndsWith(" EPERM"));
  }
  EXPECT_EQ(lines, 23U);
  const CommandResult missing = RunIn(*sandbox, Python(R"(
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
for number in (435, 425, 426, 427):
    libc.syscall(number, None, 0); print(errno.errorcode[ctypes.get_errno()])
)"));
  EXPECT_EQ(missing.output, "ENOSYS\nENOSYS\nENOSYS\nENOSYS\n") << missing.error_output;
}

TEST(ContainmentTest, HonestProgramsStillWork) {
  auto sandbox = OpenSandbox();
  const CommandResult python = RunIn(*sandbox, Python(R"(
import multiprocessing, os, pty, socket, subprocess, tempfile, threading
if __name__ == '__main__':
    with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))
    out = []
    t = threading.Thread(target=out.append, args=(1,)); t.start(); t.join(); print(out)
    print(subprocess.run(['echo', 'sub'], capture_output=True).stdout)
    a, b = pty.openpty(); print(os.isatty(b))
    s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())
    print('local')
    with tempfile.TemporaryDirectory() as d: print(os.path.isdir(d))
    print(os.environ['HOME'], os.getcwd(), os.path.expanduser('~'))
)"));
  EXPECT_EQ(python.output, "[1, 2]\n[1]\nb'sub\\n'\nTrue\nlocal\nTrue\n/tmp /work /tmp\n")
      << python.error_output;
  const CommandResult git =
      RunIn(*sandbox,
            Shell("git init -q r && cd r && git config user.email a@b && git config user.name n "
                  "&& echo x > f && git add f && git commit -qm m && git log --format=%s"));
  EXPECT_EQ(git.output, "m\n") << git.error_output;
}

TEST(ContainmentTest, TheAgentCannotBeHarmedFromInside) {
  auto sandbox = OpenSandbox();
  const CommandResult result =
      RunIn(*sandbox, Shell("kill -9 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; kill -CHLD 1; "
                            "cat /proc/1/environ /proc/1/maps; ls /proc/1/fd /proc/1/root; "
                            "echo > /proc/1/mem; for i in 1 2 3; do kill -KILL -1; done"));
  EXPECT_EQ(result.output.find("/sbx"), std::string::npos);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo alive")).output, "alive\n");
}

TEST(ContainmentTest, SandboxesDoNotSeeEachOther) {
  auto one = OpenSandbox();
  auto two = OpenSandbox();
  RunIn(*one, Shell("echo mine > /tmp/f; echo mine > /work/f; echo mine > /dev/shm/f"));
  EXPECT_EQ(
      RunIn(*two, Shell("cat /tmp/f /work/f /dev/shm/f 2>/dev/null; ls /proc | grep -c '^[0-9]'"))
          .output,
      "4\n");  // the agent, the shell, ls and grep
}

TEST(ContainmentTest, WhatOnlyRootReachesIsShownWhereItIsNamed) {
  if (::geteuid() != 0) return;  // an ordinary user shows what is theirs
  const HostFolder folder;
  ASSERT_EQ(::mkdir((folder.path() + "/shown").c_str(), 0755), 0);
  std::ofstream(folder.path() + "/shown/a") << "seen\n";
  std::ofstream(folder.path() + "/b") << "beside\n";
  ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
  SandboxSpec spec;
  spec.mounts = {{folder.path() + "/shown", "/shown", false}};
  const auto sandbox = OpenSandbox(spec);
  const std::string script =
      "cat /shown/a; cat /shown/../b 2>/dev/null; echo x > /shown/a || echo refused";
  EXPECT_EQ(RunIn(*sandbox, Shell(script)).output, "seen\nrefused\n");
}

TEST(ContainmentTest, ARootWhoMayNotMountHasSandboxesLikewise) {
  if (::geteuid() != 0 || IsBoundedRoot()) return;
  EXPECT_EQ(RunAsBoundedRoot("ContainmentTest.*"), 0) << "see above";
}

TEST(ContainmentTest, TheKernelSeesAnOrdinaryUser) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  auto process = sandbox->Start(Shell("exec sleep " + marker));
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(marker).size() == 1; }));
  const std::string status =
      ReadAll("/proc/" + std::to_string(ProcessesWith(marker)[0]) + "/status");
  EXPECT_THAT(status, Not(HasSubstr("\nUid:\t0\t")));
  EXPECT_THAT(status, HasSubstr("\nNoNewPrivs:\t1\n"));
  EXPECT_THAT(status, HasSubstr("\nSeccomp:\t2\n"));
}

}  // namespace
}  // namespace taskmint::sandbox
