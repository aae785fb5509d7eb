// Beginnings and ends: of commands, line processes, sandboxes and of the process that opened them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "sandbox/cgroup.h"
#include "sandbox/fd.h"
#include "sandbox/process_mark.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

using ::testing::HasSubstr;

size_t OpenFds() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(fds), end(fds)));
}

TEST(LifetimeTest, ADaemonDiesWithItsSandbox) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  // It keeps the pipes open; the command ends nevertheless.
  const CommandResult result = RunIn(*sandbox, Shell("setsid sleep " + marker + " & echo started"));
  EXPECT_EQ(result.output, "started\n");
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(marker).size() == 1; }));
  sandbox.reset();
  EXPECT_TRUE(ProcessesWith(marker).empty());
}

TEST(LifetimeTest, KillAllLeavesNothingAndTheSandboxUsable) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  auto process = sandbox->Start(Shell("sleep " + marker));
  ASSERT_TRUE(process.ok());
  RunIn(*sandbox, Shell("setsid sleep " + marker + " &"));
  ASSERT_TRUE(sandbox->KillAll().ok());
  EXPECT_TRUE(ProcessesWith(marker).empty());
  EXPECT_EQ((*process)->ReadLine(5000, {}).status().code(), Code::kUnavailable);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo usable")).output, "usable\n");
}

// How far above what runs inside the victim stands: its agent, bubblewrap, and who opened it.
class KilledProcessTest : public testing::TestWithParam<int> {};

TEST_P(KilledProcessTest, LeavesNothingAliveInside) {
  const std::string marker = Marker();
  const std::string opener =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "sandbox_opener";
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  pid_t pid = 0;
  char* const argv[] = {const_cast<char*>(opener.c_str()), const_cast<char*>(marker.c_str()),
                        nullptr};
  ASSERT_EQ(::posix_spawn(&pid, opener.c_str(), &actions, nullptr, argv, environ), 0) << opener;
  ::posix_spawn_file_actions_destroy(&actions);
  write_end.reset();
  char ready = 0;
  EXPECT_EQ(::read(read_end.get(), &ready, 1), 1);
  // Its sandbox's line process and daemon, and the opener itself.
  const auto inside = [&] {
    std::vector<pid_t> pids = ProcessesWith(marker);
    std::erase(pids, pid);
    return pids;
  };
  EXPECT_TRUE(Eventually([&] { return inside().size() >= 2; }));
  // The line process stands first below the agent, the daemon may still hang below its shell.
  pid_t victim = inside().front();
  while (ReadAll("/proc/" + std::to_string(victim) + "/comm") != "agent\n" && victim > 1) {
    victim = ParentOf(victim);
  }
  for (int i = 0; i < GetParam(); ++i) victim = ParentOf(victim);
  ASSERT_GT(victim, 1);
  EXPECT_EQ(GetParam() == 2, victim == pid);
  ::kill(victim, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return inside().empty(); }));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

std::string VictimName(const testing::TestParamInfo<int>& one) {
  constexpr const char* kNames[] = {"TheAgent", "Bubblewrap", "TheOpener"};
  return kNames[one.param];
}

INSTANTIATE_TEST_SUITE_P(LifetimeTest, KilledProcessTest, testing::Values(0, 1, 2), VictimName);

TEST(LifetimeTest, ASandboxOutlivesTheThreadThatOpenedIt) {
  std::unique_ptr<Sandbox> sandbox;
  std::thread([&] { sandbox = OpenSandbox(); }).join();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_NE(sandbox, nullptr);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo alive")).output, "alive\n");
}

TEST(LifetimeTest, TheAgentsDeathIsAnErrorAndNoHang) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  std::jthread killer([&] {
    ASSERT_TRUE(Eventually([&] { return ProcessesWith(marker).size() == 1; }));
    ::kill(ParentOf(ProcessesWith(marker)[0]), SIGKILL);
  });
  Command command = Shell("exec sleep " + marker);
  const Result<CommandResult> result = sandbox->Run(command, {});
  EXPECT_EQ(result.status().code(), Code::kUnavailable);
  EXPECT_EQ(result.status().boundary(), Boundary::kSandbox);
  EXPECT_EQ(sandbox->Run(Shell("true"), {}).status().code(), Code::kUnavailable);
  EXPECT_EQ(sandbox->Put({}, "/work/x", 0).code(), Code::kUnavailable);
  EXPECT_EQ(sandbox->Start(Shell("true")).status().code(), Code::kUnavailable);
}

TEST(LifetimeTest, AStoppedAgentIsKilledAtTheWallLimit) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  std::jthread stopper([&] {
    ASSERT_TRUE(Eventually([&] { return ProcessesWith(marker).size() == 1; }));
    ::kill(ParentOf(ProcessesWith(marker)[0]), SIGSTOP);
  });
  Command command = Shell("exec sleep " + marker);
  command.wall_ms_max = 4000;
  const Result<CommandResult> result = sandbox->Run(command, {});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  EXPECT_EQ(result->ending, Ending::kWallTime);
  EXPECT_TRUE(ProcessesWith(marker).empty());
}

TEST(LifetimeTest, AnAgentThatNeverStartsACommandMeetsTheWallLimit) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  auto process = sandbox->Start(Shell("exec sleep " + marker));
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(marker).size() == 1; }));
  ::kill(ParentOf(ProcessesWith(marker)[0]), SIGSTOP);
  Command command = Shell("true");
  command.wall_ms_max = 200;
  const Result<CommandResult> result = sandbox->Run(command, {});
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  EXPECT_EQ(result->ending, Ending::kWallTime);
  EXPECT_TRUE(ProcessesWith(marker).empty());
  EXPECT_EQ(sandbox->Run(command, {}).status().code(), Code::kUnavailable);
}

TEST(LifetimeTest, AStopTokenCancelsACommand) {
  auto sandbox = OpenSandbox();
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    source.request_stop();
  });
  const int64_t begin_ms = NowMs();
  const Result<CommandResult> result = sandbox->Run(Shell("sleep 1000"), source.get_token());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->ending, Ending::kCancelled);
  EXPECT_LT(NowMs() - begin_ms, 5000);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo usable")).output, "usable\n");
  EXPECT_EQ(TestHost().Open({}, source.get_token()).status().code(), Code::kCancelled);
}

TEST(LifetimeTest, LineProcessesEndWithAnError) {
  auto sandbox = OpenSandbox();
  auto ended = sandbox->Start(Shell("echo last; echo why >&2; exit 3"));
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(*(*ended)->ReadLine(5000, {}), "last");
  const Status status = (*ended)->ReadLine(5000, {}).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("exit code 3"));
  EXPECT_EQ((*ended)->WriteLine("x").code(), Code::kUnavailable);
  EXPECT_EQ((*ended)->error_output(), "why\n");
  // Its child keeps the pipe open; the end is seen all the same.
  auto leaving = sandbox->Start(Shell("sleep 1000 & exit 0"));
  EXPECT_EQ((*leaving)->ReadLine(5000, {}).status().code(), Code::kUnavailable);

  Command missing;
  missing.argv = {"/no/such/runner"};
  EXPECT_EQ(sandbox->Start(missing).status().code(), Code::kNotFound);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo usable")).output, "usable\n");
}

TEST(LifetimeTest, LineProcessesAreCancelledLimitedAndKilled) {
  const std::string marker = Marker();
  auto sandbox = OpenSandbox();
  auto endless = sandbox->Start(Shell("tr '\\0' x < /dev/zero"));
  ASSERT_TRUE(endless.ok());
  EXPECT_EQ((*endless)->ReadLine(20'000, {}).status().code(), Code::kResourceExhausted);
  endless->reset();
  auto noisy = sandbox->Start(Shell("yes >&2 & echo ready; exec sleep " + marker));
  ASSERT_TRUE(noisy.ok());
  EXPECT_EQ(*(*noisy)->ReadLine(5000, {}), "ready");
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ((*noisy)->ReadLine(5000, source.get_token()).status().code(), Code::kCancelled);
  EXPECT_LE((*noisy)->error_output().size(), size_t{1} << 20);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo beside")).output, "beside\n");
  noisy->reset();
  EXPECT_TRUE(ProcessesWith(marker).empty());
}

TEST(LifetimeTest, ALineProcessOutlivesItsSandboxHarmlessly) {
  auto sandbox = OpenSandbox();
  auto process = sandbox->Start(Shell("cat"));
  ASSERT_TRUE(process.ok());
  sandbox.reset();
  EXPECT_EQ((*process)->WriteLine("x").code(), Code::kUnavailable);
  EXPECT_EQ((*process)->ReadLine(5000, {}).status().code(), Code::kUnavailable);
  EXPECT_EQ((*process)->error_output(), "");
}

TEST(LifetimeTest, NothingIsLeftBehind) {
  OpenSandbox();
  const size_t fds = OpenFds();
  const std::string mounts = ReadAll("/proc/self/mountinfo");
  for (int i = 0; i < 10; ++i) {
    const HostFolder folder;
    SandboxSpec spec;
    spec.mounts = {{folder.path(), "/layer", false}};
    auto sandbox = OpenSandbox(spec);
    RunIn(*sandbox, Shell("setsid sleep 1000 & true"));
    if (i % 2 == 0) static_cast<void>(sandbox->Start(Shell("cat")));
  }
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_EQ(ReadAll("/proc/self/mountinfo"), mounts);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  const CgroupHome home = FindCgroupHome();
  for (const std::string& folder : {home.memory_folder, home.processes_folder}) {
    if (folder.empty()) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      EXPECT_FALSE(entry.path().filename().string().starts_with("taskmint-" + ProcessMark() + "-"))
          << entry.path();
    }
  }
}

TEST(LifetimeTest, ManySandboxesAtOnce) {
  std::vector<std::jthread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&good, i] {
      for (int round = 0; round < 4; ++round) {
        auto sandbox = OpenSandbox();
        if (sandbox == nullptr) return;
        const std::string word = std::to_string(i) + "-" + std::to_string(round);
        if (RunIn(*sandbox, Shell("echo " + word)).output == word + "\n") ++good;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 32);
}

TEST(LifetimeTest, SpecsThatContradictThemselvesAreRefused) {
  const auto code = [](const SandboxSpec& spec) {
    return TestHost().Open(spec, {}).status().code();
  };
  SandboxSpec limits;
  limits.limits.processes_max = 0;
  EXPECT_EQ(code(limits), Code::kInvalidArgument);
  for (const char* path : {"work", "/", "/usr", "/tmp", "/proc/x", "/a/../b", "/etc/x", "/dev"}) {
    SandboxSpec spec;
    spec.work_path = path;
    EXPECT_EQ(code(spec), Code::kInvalidArgument) << path;
  }
  SandboxSpec twice;
  twice.mounts = {{"/usr", "/work", false}};
  EXPECT_EQ(code(twice), Code::kInvalidArgument);
  SandboxSpec missing;
  missing.mounts = {{"/no/such/folder", "/layer", false}};
  EXPECT_EQ(code(missing), Code::kInvalidArgument);
  SandboxSpec variable;
  variable.variables = {{"A=B", "x"}};
  EXPECT_EQ(code(variable), Code::kInvalidArgument);
  SandboxSpec proxy;
  for (const auto mode : {Network::Mode::kProxy, Network::Mode::kPackages}) {
    proxy.network.mode = mode;
    EXPECT_EQ(code(proxy), Code::kInvalidArgument);
  }
}

TEST(LifetimeTest, TheHostIsExaminedAndItsBaseLayerNamed) {
  for (const Finding& finding : ExamineHost()) {
    EXPECT_FALSE(finding.name.empty());
    EXPECT_FALSE(finding.detail.empty()) << finding.name;
    EXPECT_EQ(finding.ok, finding.mend.empty()) << finding.name << ": " << finding.mend;
    if (finding.name == "sandbox" || finding.name == "system call filter") {
      EXPECT_TRUE(finding.ok) << finding.detail;
    }
  }
  const Result<BaseLayer> base = ReadBaseLayer();
  ASSERT_TRUE(base.ok()) << base.status().ToString();
  EXPECT_EQ(base->package_list_digest.size(), 64U);
  EXPECT_EQ(base->package_list_digest, ReadBaseLayer()->package_list_digest);
  EXPECT_NE(base->name, "");
}

}  // namespace
}  // namespace taskmint::sandbox
