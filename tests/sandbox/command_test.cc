// One command in a sandbox: what it is given while it runs, what ends it, and what it used.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "sandbox/cgroup.h"
#include "sandbox/fd.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

using ::testing::HasSubstr;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  void Write(std::string_view bytes) const {
    ASSERT_EQ(::write(write.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  UniqueFd read, write;
};

TEST(CommandTest, OutputIsSeenAndInputIsReadWhileItRuns) {
  const auto sandbox = OpenSandbox();
  const Pipe input;
  Command command = Shell("while read line; do echo got $line; echo err >&2; done; echo end");
  command.input_fd = input.read.get();
  std::string seen, errors;
  command.on_output = [&](std::string_view bytes) {
    seen += bytes;
    // The answer to the first line asks for the second, and that to the second for the end.
    if (seen == "got one\n") input.Write("two\n");
    if (seen == "got one\ngot two\n")
      ::close(::dup2(::open("/dev/null", O_WRONLY), input.write.get()));
  };
  command.on_error_output = [&](std::string_view bytes) { errors += bytes; };
  input.Write("one\n");
  EXPECT_EQ(RunIn(*sandbox, command).output, "got one\ngot two\nend\n");
  EXPECT_EQ(seen, "got one\ngot two\nend\n");
  EXPECT_EQ(errors, "err\nerr\n");
}

TEST(CommandTest, MoreInputThanAPipeHoldsArrivesWhole) {
  const auto sandbox = OpenSandbox();
  const Pipe input;
  std::thread writer([&] {
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 8; ++i) {
      for (std::string_view rest = block; !rest.empty();) {
        const ssize_t size = ::write(input.write.get(), rest.data(), rest.size());
        if (size <= 0) return;
        rest.remove_prefix(static_cast<size_t>(size));
      }
    }
    ::dup2(::open("/dev/null", O_WRONLY), input.write.get());
  });
  Command command = Shell("wc -c");
  command.input_fd = input.read.get();
  EXPECT_EQ(RunIn(*sandbox, command).output, "8388608\n");
  writer.join();
}

TEST(CommandTest, InputThatNobodyReadsHarmsNobody) {
  const auto sandbox = OpenSandbox();
  const UniqueFd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  Command command = Shell("exec <&-; sleep 0.2; echo done");
  command.input_fd = zero.get();
  EXPECT_EQ(RunIn(*sandbox, command).output, "done\n");
}

TEST(CommandTest, CpuTimeOfAllProcessesTogetherIsLimited) {
  const auto sandbox = OpenSandbox();
  Command command = Shell("for i in 1 2; do (while :; do :; done) & done; wait");
  command.cpu_ms_max = 400;
  const CommandResult result = RunIn(*sandbox, command);
  EXPECT_EQ(result.ending, Ending::kCpuTime);
  EXPECT_EQ(CauseOf(result), "cpu-time");
  EXPECT_LT(result.wall_ms, 5'000);
  // Nor does it help to leave nobody who waits for a process.
  command = Python(
      "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
      "def burn():\n  end = time.process_time() + 0.08\n  while time.process_time() < end: pass\n"
      "for i in range(40):\n  if os.fork() == 0: burn(); os._exit(0)\n  time.sleep(0.1)\n");
  command.cpu_ms_max = 800;
  if (FindCgroupHome().kind != CgroupHome::Kind::kNone) {
    EXPECT_EQ(RunIn(*sandbox, command).ending, Ending::kCpuTime);
  }
  // What ran before does not count, nor does waiting.
  command = Shell("sleep 0.5; echo rested");
  command.cpu_ms_max = 400;
  EXPECT_EQ(RunIn(*sandbox, command).output, "rested\n");
}

TEST(CommandTest, LimitsThatKillNobodyAreNamedWhereACommandFails) {
  SandboxSpec spec;
  spec.limits.disk_bytes_max = 1 << 20;
  spec.limits.file_bytes_max = 512 << 10;
  spec.limits.processes_max = 8;
  const auto sandbox = OpenSandbox(spec);
  CommandResult result = RunIn(*sandbox, Shell("exit 3"));
  EXPECT_EQ(CauseOf(result), "exited");
  result =
      RunIn(*sandbox, Shell("for i in 1 2 3; do head -c 400000 /dev/zero > $i || exit 1; done"));
  EXPECT_EQ(CauseOf(result), "disk");
  ASSERT_TRUE(sandbox->Clear("/work").ok());
  result = RunIn(*sandbox, Python("open('f', 'wb').write(bytes(600 << 10))"));
  EXPECT_EQ(result.ending, Ending::kExited);  // Python ignores SIGXFSZ
  result = RunIn(*sandbox, Shell("exec head -c 600000 /dev/zero > f"));
  EXPECT_EQ(result.signal, SIGXFSZ);
  EXPECT_EQ(CauseOf(result), "disk");
  if (FindCgroupHome().processes_folder.empty()) return;  // who is not root has no such count
  result = RunIn(*sandbox, Python("import os, time\n"
                                  "for i in range(20):\n"
                                  "  if os.fork() == 0: time.sleep(9); os._exit(0)\n"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(CauseOf(result), "processes") << result.error_output;
  EXPECT_EQ(result.processes_peak, 8);
}

TEST(CommandTest, TheKernelTakesWhatRunsInsideFirst) {
  const auto sandbox = OpenSandbox();
  EXPECT_EQ(RunIn(*sandbox, Shell("cat /proc/self/oom_score_adj")).output, "1000\n");
  // And not the agent, the first process, which has what this process has.
  std::ifstream own("/proc/self/oom_score_adj");
  std::string score;
  std::getline(own, score);
  EXPECT_EQ(RunIn(*sandbox, Shell("cat /proc/1/oom_score_adj")).output, score + "\n");
}

TEST(CommandTest, AKilledChildIsToldToo) {
  if (FindCgroupHome().kind == CgroupHome::Kind::kNone) return;  // nobody counts there
  SandboxSpec spec;
  spec.limits.memory_bytes_max = 64 << 20;
  const CommandResult result =
      RunIn(*OpenSandbox(spec), Shell("python3 -c 'kept = bytearray(300 << 20)'; exit 1"));
  EXPECT_EQ(result.ending, Ending::kExited);
  EXPECT_EQ(CauseOf(result), "memory");
}

TEST(CommandTest, WhatACommandUsedIsTold) {
  const auto sandbox = OpenSandbox();
  const CommandResult result =
      RunIn(*sandbox, Python("import subprocess\n"
                             "subprocess.run(['sh', '-c', 'head -c 3000000 /dev/zero > /tmp/f'])\n"
                             "kept = bytearray(64 << 20)\n"));
  EXPECT_GE(result.written_bytes, 3'000'000);
  EXPECT_LT(result.written_bytes, 4'000'000);
  EXPECT_GE(result.memory_peak_bytes, 64 << 20);
  EXPECT_LT(result.memory_peak_bytes, 256 << 20);
}

TEST(CommandTest, ALongRunningProcessTakesSignalsAndIsWaitedFor) {
  const auto sandbox = OpenSandbox();
  auto process = sandbox->Start(
      Shell("trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done"));
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  ASSERT_TRUE((*process)->ReadLine(10'000, {}).ok());
  EXPECT_EQ((*process)->Wait(50, {}).status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ((*process)->Signal(0).code(), Code::kInvalidArgument);
  EXPECT_EQ((*process)->Signal(1000).code(), Code::kInvalidArgument);
  ASSERT_TRUE((*process)->Signal(SIGTERM).ok());
  const auto ended = (*process)->Wait(10'000, {});
  ASSERT_TRUE(ended.ok()) << ended.status().ToString();
  EXPECT_EQ(ended->ending, Ending::kExited);
  EXPECT_EQ(ended->exit_code, 7);
  EXPECT_EQ(*(*process)->ReadLine(1'000, {}), "asked");
  EXPECT_TRUE((*process)->Signal(SIGTERM).ok()) << "it has ended, which is fine";
  std::stop_source stop;
  stop.request_stop();
  auto other = sandbox->Start(Shell("sleep 60"));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ((*other)->Wait(10'000, stop.get_token()).status().code(), Code::kCancelled);
  ASSERT_TRUE((*other)->Signal(SIGKILL).ok());
  EXPECT_EQ((*other)->Wait(10'000, {})->signal, SIGKILL);
}

}  // namespace
}  // namespace taskmint::sandbox
