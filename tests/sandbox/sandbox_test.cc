// The contract of sandbox.h, over the host that this machine has.
#include "sandbox/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kModifiedS = 1'600'000'000;

TEST(SandboxTest, MaskedPathsAreInOneOrderOnEveryMachine) {
  const auto paths = SandboxSpec::DefaultMaskedPaths();
  EXPECT_GE(paths.size(), 4U);
  EXPECT_TRUE(std::is_sorted(paths.begin(), paths.end()));
}

TEST(SandboxTest, RunTellsExitCodeAndBothOutputs) {
  auto sandbox = OpenSandbox();
  const CommandResult result = RunIn(*sandbox, Shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(result.ending, Ending::kExited);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.error_output, "err\n");
}

TEST(SandboxTest, ASignalIsToldApartFromAnExit) {
  auto sandbox = OpenSandbox();
  const CommandResult result = RunIn(*sandbox, Shell("kill -SEGV $$"));
  EXPECT_EQ(result.ending, Ending::kSignalled);
  EXPECT_EQ(result.signal, SIGSEGV);
}

TEST(SandboxTest, InputFolderAndVariablesReachTheCommand) {
  auto sandbox = OpenSandbox();
  Command command = Shell("cat; pwd; echo $COLOUR");
  command.input = "given\n";
  command.folder = "/tmp";
  command.variables = {{"COLOUR", "blue"}};
  EXPECT_EQ(RunIn(*sandbox, command).output, "given\n/tmp\nblue\n");
  EXPECT_EQ(RunIn(*sandbox, Shell("pwd; wc -c")).output, "/work\n0\n");
}

TEST(SandboxTest, AMissingProgramIsNotFoundAndTheSandboxLives) {
  auto sandbox = OpenSandbox();
  Command command;
  command.argv = {"no-such-program"};
  EXPECT_EQ(sandbox->Run(command, {}).status().code(), Code::kNotFound);
  command.argv = {};
  EXPECT_EQ(sandbox->Run(command, {}).status().code(), Code::kInvalidArgument);
  Command elsewhere = Shell("true");
  elsewhere.folder = "/no/folder";
  const Status missing = sandbox->Run(elsewhere, {}).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("/no/folder"));
  EXPECT_EQ(RunIn(*sandbox, Shell("echo alive")).output, "alive\n");
}

TEST(SandboxTest, PutAndCollectRoundTripATree) {
  auto sandbox = OpenSandbox();
  FileTree tree;
  ASSERT_TRUE(tree.Set("src/a.py", RegularFile("print(1)\n")).ok());
  ASSERT_TRUE(tree.Set("run", {FileEntry::Kind::kExecutable,
                               std::make_shared<std::string>("#!/bin/sh\necho ran\n")})
                  .ok());
  ASSERT_TRUE(
      tree.Set("link", {FileEntry::Kind::kSymlink, std::make_shared<std::string>("src/a.py")})
          .ok());
  ASSERT_TRUE(tree.Set("odd \xff\nname", RegularFile(std::string("\0\xfe", 2))).ok());
  ASSERT_TRUE(tree.Set("big", RegularFile(std::string(5'000'000, 'x'))).ok());
  ASSERT_TRUE(tree.Set("empty", RegularFile("")).ok());
  const Status put = sandbox->Put(tree, "/work/deep/er", kModifiedS);
  ASSERT_TRUE(put.ok()) << put.ToString();
  EXPECT_EQ(
      RunIn(*sandbox, Shell("cd deep/er && ./run && python3 link && stat -c %Y big link")).output,
      "ran\n1\n1600000000\n1600000000\n");
  auto collected = sandbox->Collect("/work/deep/er", {});
  ASSERT_TRUE(collected.ok()) << collected.status().ToString();
  EXPECT_EQ(TreeDigest(*collected), TreeDigest(tree));
}

TEST(SandboxTest, ALineProcessAnswersLines) {
  auto sandbox = OpenSandbox();
  auto process = sandbox->Start(Shell("while read line; do echo got $line; echo e >&2; done"));
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  for (const char* word : {"one", "two"}) {
    ASSERT_TRUE((*process)->WriteLine(word).ok());
    auto line = (*process)->ReadLine(10'000, {});
    ASSERT_TRUE(line.ok()) << line.status().ToString();
    EXPECT_EQ(*line, std::string("got ") + word);
  }
  EXPECT_THAT((*process)->error_output(), HasSubstr("e\n"));
  EXPECT_EQ(RunIn(*sandbox, Shell("echo beside")).output, "beside\n");
  EXPECT_EQ((*process)->ReadLine(50, {}).status().code(), Code::kDeadlineExceeded);
}

TEST(SandboxTest, JoinedOutputKeepsTheOrderAndTheCutIsCounted) {
  const auto sandbox = OpenSandbox();
  Command command = Shell("echo 1; echo 2 >&2; echo 3");
  command.joined_output = true;
  const CommandResult joined = RunIn(*sandbox, command);
  EXPECT_EQ(joined.output, "1\n2\n3\n");
  EXPECT_EQ(joined.error_output, "");
  EXPECT_EQ(joined.output_cut_bytes, 0);
  command = Shell("head -c 5000 /dev/zero | tr '\\0' x; head -c 300 /dev/zero >&2");
  command.output_bytes_max = 1000;
  const CommandResult cut = RunIn(*sandbox, command);
  EXPECT_EQ(cut.output_cut_bytes, 4000);
  EXPECT_EQ(cut.error_output_cut_bytes, 0);
  command = Shell("yes");
  command.written_bytes_max = 100'000;
  EXPECT_EQ(RunIn(*sandbox, command).ending, Ending::kOutput);
}

// What a program can read of where and when it runs.
constexpr char kSelfPortrait[] =
    "import os, socket, time\n"
    "print(int(time.monotonic()) // 60, int(float(open('/proc/uptime').read().split()[0])) // 60,\n"
    "      int(time.clock_gettime(time.CLOCK_BOOTTIME)) // 60)\n"
    "print(socket.gethostname(), open('/etc/machine-id').read().strip())\n"
    "print(os.getuid(), os.getgid(), os.umask(0), time.tzname, hash('taskmint'))\n"
    "print(sorted(os.environ.items()))\n";

TEST(SandboxTest, ARunSeesTheSameTimesNamesAndSeeds) {
  const std::string first = RunIn(*OpenSandbox(), Python(kSelfPortrait)).output;
  EXPECT_TRUE(first.starts_with("1 1 1\ntaskmint 7461736b6d696e740000000000000001\n1000 1000 18 "))
      << first;
  EXPECT_EQ(RunIn(*OpenSandbox(), Python(kSelfPortrait)).output, first);
}

}  // namespace
}  // namespace taskmint::sandbox
