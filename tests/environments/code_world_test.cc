// An agent in a repository: real sandboxes, and agents that mean no good.
#include "environments/repository/code_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "environments/tool_arguments.h"
#include "proto/base/json.h"
#include "tests/environments/ailing_sandbox.h"
#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/kill_descendants.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

sandbox::SandboxHost& Host() {
  static const auto host = sandbox::MakeBubblewrapHost().value().release();
  return *host;
}

class CodeWorldTest : public testing::Test {
 protected:
  CodeWorldTest() {
    tree_ = TreeOf({{"src/a.py", "one\ntwo\nthree\n"}, {"README", "read me\n"}});
    FileEntry script = RegularFile("#!/bin/sh\necho ran\n");
    script.kind = FileEntry::Kind::kExecutable;
    EXPECT_TRUE(tree_.Set("run.sh", script).ok());
    FileEntry link = RegularFile("src/a.py");
    link.kind = FileEntry::Kind::kSymlink;
    EXPECT_TRUE(tree_.Set("link.py", link).ok());
  }

  CodeWorld& World() { return world_ == nullptr ? WorldOn(Host()) : *world_; }
  CodeWorld& WorldOn(sandbox::SandboxHost& host) {
    auto opened = CodeWorld::Open(host, PythonUnderTest(), environment_, {}, tree_, {});
    if (!opened.ok()) ADD_FAILURE() << opened.status().ToString();
    world_ = std::move(opened).value();
    return *world_;
  }
  ToolOutcome Call(const std::string& tool, const json& arguments, std::stop_token stop = {}) {
    return CallText(tool, DumpJson(arguments), std::move(stop));
  }
  ToolOutcome CallText(const std::string& tool, const std::string& text,
                       std::stop_token stop = {}) {
    auto outcome = World().Call(tool, text, std::move(stop));
    if (!outcome.ok()) ADD_FAILURE() << outcome.status().ToString();
    return outcome.ok() ? *outcome : ToolOutcome{};
  }
  ToolOutcome Bash(const std::string& command, int64_t timeout_s = 30) {
    return Call("bash", {{"command", command}, {"timeout_s", timeout_s}});
  }
  std::string Said(const std::string& command) { return Bash(command).observation; }
  ToolOutcome Read(const std::string& path, int64_t from = 1, int64_t lines = 200) {
    return Call("read_file", {{"path", path}, {"from", from}, {"lines", lines}});
  }
  ToolOutcome Edit(const std::string& path, const std::string& old, const std::string& text) {
    return Call("edit_file", {{"path", path}, {"old", old}, {"new", text}});
  }
  // A refusal that says `part`, after which the world still works.
  void ExpectRefused(const ToolOutcome& outcome, const std::string& part) {
    EXPECT_TRUE(outcome.failed);
    EXPECT_FALSE(outcome.ended);
    EXPECT_THAT(outcome.observation, HasSubstr(part));
    EXPECT_THAT(outcome.observation, EndsWith("\n"));
    EXPECT_LE(outcome.observation.size(), 2'000U);
  }
  void ExpectAlive() { EXPECT_EQ(Said("echo alive"), "alive\n[exit code 0]\n"); }

  v1::RepositoryEnvironment environment_;
  FileTree tree_;
  std::unique_ptr<CodeWorld> world_;
};

TEST_F(CodeWorldTest, BashRunsInTheRepositoryAndSaysItsExitCode) {
  const ToolOutcome listed = Bash("pwd; ls; cat src/a.py");
  EXPECT_EQ(listed.observation,
            "/work\nREADME\nlink.py\nrun.sh\nsrc\none\ntwo\nthree\n[exit code 0]\n");
  EXPECT_FALSE(listed.failed);
  EXPECT_FALSE(listed.cut);
  const ToolOutcome failing = Bash("echo no newline | tr -d '\\n'; exit 3");
  EXPECT_EQ(failing.observation, "no newline\n[exit code 3]\n");
  EXPECT_TRUE(failing.failed);
  EXPECT_EQ(Said("kill -9 $$"), "[killed by SIGKILL]\n");
  EXPECT_EQ(Said("true"), "[exit code 0]\n");
}

TEST_F(CodeWorldTest, StandardOutputAndErrorComeInTheOrderInWhichTheyWereWritten) {
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    expected += "o" + std::to_string(i) + "\ne" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(Said("for i in $(seq 0 49); do echo o$i; echo e$i >&2; done"),
            expected + "[exit code 0]\n");
}

TEST_F(CodeWorldTest, TheEnvironmentsProgramsComeFirstAndThereIsNoNetwork) {
  EXPECT_THAT(Said("echo $PATH"), StartsWith("/venv/bin:/usr/bin:/bin\n"));
  EXPECT_THAT(Said("ls /sys/class/net /proc/net/dev 2>/dev/null; "
                   "python3 -c \"import socket; socket.create_connection(('192.0.2.1', 80), 1)\""),
              HasSubstr("Network is unreachable"));
  EXPECT_THAT(Said("ls -a /work"), Not(HasSubstr(".git")));
}

TEST_F(CodeWorldTest, LongOutputIsCutInTheMiddleAndTheCutIsSaid) {
  const ToolOutcome outcome = Bash("seq 1 20000");
  EXPECT_TRUE(outcome.cut);
  EXPECT_FALSE(outcome.failed);
  EXPECT_THAT(outcome.observation, StartsWith("1\n2\n"));
  EXPECT_THAT(outcome.observation, EndsWith("19999\n20000\n[exit code 0]\n"));
  EXPECT_THAT(outcome.observation, HasSubstr("[... 76126 bytes cut ...]"));
  EXPECT_LE(outcome.observation.size(), static_cast<size_t>(kObservationBytesMax) + 100);
}

TEST_F(CodeWorldTest, EndlessOutputEndsTheCommandAndNotTheEpisode) {
  const ToolOutcome outcome = Bash("yes 'all work and no play' | head -c 10G");
  EXPECT_TRUE(outcome.failed);
  EXPECT_TRUE(outcome.cut);
  EXPECT_THAT(outcome.observation, HasSubstr("[killed: it wrote more than 64 MiB]"));
  EXPECT_LE(outcome.observation.size(), static_cast<size_t>(kObservationBytesMax) + 200);
  ExpectAlive();
}

TEST_F(CodeWorldTest, ACommandThatTakesTooLongIsKilledWithWhatItHadSaid) {
  const ToolOutcome outcome = Bash("echo before; sleep 100; echo after", 1);
  EXPECT_TRUE(outcome.failed);
  EXPECT_THAT(outcome.observation, StartsWith("before\n[killed"));
  EXPECT_THAT(outcome.observation, HasSubstr("1 s"));
  ExpectAlive();
}

TEST_F(CodeWorldTest, ABackgroundProcessThatKeepsTheOutputOpenHoldsNobody) {
  EXPECT_EQ(Said("sleep 1000 & until grep -qx sleep /proc/$!/comm; do :; done; echo started"),
            "started\n[exit code 0]\n");
  EXPECT_THAT(Said("ps -e -o comm= 2>/dev/null || cat /proc/[0-9]*/comm"), HasSubstr("sleep"));
  ExpectAlive();
}

TEST_F(CodeWorldTest, BytesOfEveryKindAreShownAsTheyAre) {
  EXPECT_EQ(Said("printf 'a\\0b\\377\\n'"), std::string("a\0b\377\n[exit code 0]\n", 19));
}

TEST_F(CodeWorldTest, AStopEndsTheCommandAndNotTheEpisode) {
  World();
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop.request_stop();
  });
  const ToolOutcome outcome =
      Call("bash", {{"command", "echo begun; sleep 100"}}, stop.get_token());
  EXPECT_TRUE(outcome.failed);
  EXPECT_EQ(outcome.observation, "begun\n[interrupted]\n");
  ExpectAlive();
}

TEST_F(CodeWorldTest, AForkBombStaysWithinItsLimits) {
  environment_.mutable_limits()->set_processes_max(40);
  Bash(":(){ :|:& };: ; sleep 0.2", 2);
  Bash("f() { f & f & }; f; sleep 0.2", 2);
  // Whatever the bomb left, time-out or a refused start ends it.
  for (int i = 0; i < 5; ++i) Bash("sleep 60", 1);
  ExpectAlive();
  EXPECT_TRUE(World().FinalTree({}).ok());
}

TEST_F(CodeWorldTest, KillingEverythingKillsTheAgentsOwnProcessesAlone) {
  Bash("kill -9 -1; kill -9 1");
  ExpectAlive();
  EXPECT_THAT(Said("kill -9 1; echo $?"), HasSubstr("\n[exit code 0]"));
  ExpectAlive();
}

TEST_F(CodeWorldTest, UsingUpTheMemoryIsTheAgentsOwnFault) {
  environment_.mutable_limits()->set_memory_bytes_max(int64_t{256} << 20);
  const ToolOutcome outcome = Bash("python3 -c 'x = bytearray(1 << 30); print(len(x))'");
  EXPECT_TRUE(outcome.failed);
  EXPECT_THAT(outcome.observation, Not(HasSubstr("1073741824")));
  ExpectAlive();
  const auto tree = World().FinalTree({});
  EXPECT_TRUE(tree.ok()) << tree.status().ToString();
}

// Files in memory are left when all that ran is killed; then the sandbox goes with them, at any
// time.
TEST_F(CodeWorldTest, MemoryThatNoProcessHoldsIsTheAgentsOwnFaultToo) {
  environment_.mutable_limits()->set_memory_bytes_max(int64_t{128} << 20);
  const std::string fill = "cat /dev/zero > big & cat /dev/zero > /tmp/big";
  for (const std::string& command : {fill + "; wait", "(sleep 0.2; " + fill + ") & true"}) {
    WorldOn(Host());
    Bash(command);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto tree = World().FinalTree({});
    EXPECT_TRUE(tree.ok() || tree.status().boundary() == Boundary::kEnvironment)
        << tree.status().ToString();
  }
}

TEST_F(CodeWorldTest, ASandboxThatIsKilledFromOutsideIsTheMachinesWhateverWasKilledBefore) {
  environment_.mutable_limits()->set_memory_bytes_max(int64_t{256} << 20);
  EXPECT_TRUE(Bash("python3 -c 'x = bytearray(1 << 30); print(len(x))'").failed);
  ExpectAlive();
  ASSERT_GT(KillDescendants(), 0U);
  for (int again = 0; again < 2; ++again) {
    const auto tree = World().FinalTree({});
    ASSERT_FALSE(tree.ok());
    EXPECT_EQ(tree.status().boundary(), Boundary::kSandbox) << tree.status().ToString();
  }
  const auto call = World().Call("submit", "{}", {});
  EXPECT_EQ(call.status().boundary(), Boundary::kSandbox);
}

TEST_F(CodeWorldTest, AMachineThatRanOutOfMemoryIsNeverTheAgentsFault) {
  sandbox::ForwardingHost<AilingSandbox> host(Host());
  WorldOn(host);
  ExpectAlive();
  AilingSandbox::starving = true;
  const auto call = World().Call("bash", DumpJson({{"command", "true"}}), {});
  EXPECT_EQ(call.status().boundary(), Boundary::kSandbox) << call.status().ToString();
  EXPECT_EQ(World().FinalTree({}).status().boundary(), Boundary::kSandbox);
  AilingSandbox::starving = AilingSandbox::starved = AilingSandbox::told = false;
  EXPECT_FALSE(World().FinalTree({}).ok()) << "lost for good";
  EXPECT_EQ(World().ReadWhole("README", {}).status().boundary(), Boundary::kSandbox);
}

TEST_F(CodeWorldTest, AnEpisodeOfWhichTheMachineKilledAProcessIsLostThoughItsSandboxLives) {
  sandbox::ForwardingHost<AilingSandbox> host(Host());
  WorldOn(host);
  ExpectAlive();
  AilingSandbox::killing = true;
  const auto call = World().Call("bash", DumpJson({{"command", "true"}}), {});
  EXPECT_EQ(call.status().boundary(), Boundary::kSandbox) << call.status().ToString();
  EXPECT_EQ(World().FinalTree({}).status().boundary(), Boundary::kSandbox);
}

TEST_F(CodeWorldTest, ATreeThatTheMachineCannotReadIsNotTheAgentsFault) {
  sandbox::ForwardingHost<AilingSandbox> host(Host());
  for (const Code code : {Code::kUnavailable, Code::kFailedPrecondition, Code::kNotFound}) {
    WorldOn(host);
    AilingSandbox::collecting = {code, Boundary::kSandbox, "collect /work: Input/output error"};
    const auto tree = World().FinalTree({});
    AilingSandbox::collecting = OkStatus();
    EXPECT_EQ(tree.status().boundary(), Boundary::kSandbox) << tree.status().ToString();
  }
}

TEST_F(CodeWorldTest, AFullDiskIsSaidAndAnEditLeavesTheFileAsItWas) {
  environment_.mutable_limits()->set_disk_bytes_max(int64_t{8} << 20);
  EXPECT_THAT(Said("cat /dev/zero > big"), HasSubstr("No space left"));
  ExpectRefused(Edit("src/a.py", "two", std::string(200'000, 'x')), "it is as it was");
  EXPECT_EQ(Said("cat src/a.py"), "one\ntwo\nthree\n[exit code 0]\n");
  ExpectRefused(Edit("new.py", "", std::string(200'000, 'x')), "No space left");
  EXPECT_EQ(Said("ls new.py 2>&1; rm big"),
            "ls: cannot access 'new.py': No such file or directory\n"
            "[exit code 0]\n");
  EXPECT_FALSE(Edit("src/a.py", "two", "2").failed);
}

TEST_F(CodeWorldTest, ReadFileShowsLinesAndSaysWhatIsLeft) {
  EXPECT_EQ(Read("src/a.py").observation, "one\ntwo\nthree\n[lines 1 to 3 of 3]\n");
  EXPECT_EQ(Read("./src//a.py", 2, 1).observation,
            "two\n[lines 2 to 2 of 3; 1 more from line 3]\n");
  EXPECT_EQ(Read("/work/src/../README").observation, "read me\n[lines 1 to 1 of 1]\n");
  EXPECT_EQ(Read("link.py", 3).observation, "three\n[lines 3 to 3 of 3]\n");
  ExpectRefused(Read("src/a.py", 4), "has 3 lines");
  ExpectRefused(Read("nothing"), "no file /work/nothing");
  ExpectRefused(Read("src"), "not a regular file");
  ExpectRefused(Read("/"), "");
  Bash("printf 'no end' > open; : > empty");
  EXPECT_EQ(Read("open").observation, "no end\n[lines 1 to 1 of 1]\n");
  EXPECT_EQ(Read("empty").observation, "[/work/empty is empty]\n");
}

TEST_F(CodeWorldTest, ReadFileRefusesWhatIsBinaryEndlessOrHuge) {
  Bash(
      "printf 'a\\0b' > binary; truncate -s 900M huge; mkfifo pipe; seq 100000 > long; "
      "head -c 100000 /dev/zero | tr '\\0' x > line");
  ExpectRefused(Read("binary"), "a binary file of 3 bytes");
  ExpectRefused(Read("huge"), "larger than 16 MiB");
  ExpectRefused(Read("pipe"), "not a regular file");
  ExpectRefused(Read("/dev/zero"), "not a regular file");
  ExpectRefused(Read("/proc/1/environ"), "");
  const ToolOutcome cut = Call("read_file", {{"path", "long"}, {"lines", 2000}, {"from", 90000}});
  EXPECT_FALSE(cut.cut);
  const ToolOutcome line = Read("line");
  EXPECT_TRUE(line.cut);
  EXPECT_THAT(line.observation, HasSubstr("bytes cut ...]"));
  EXPECT_THAT(line.observation, EndsWith("[lines 1 to 1 of 1]\n"));
  Bash("yes 0123456789012345678901234567890123456789 | head -2000 > wide");
  const ToolOutcome wide = Call("read_file", {{"path", "wide"}, {"lines", 2000}});
  EXPECT_TRUE(wide.cut);
  EXPECT_FALSE(wide.failed);
  EXPECT_THAT(wide.observation, HasSubstr("[lines 1 to 799 of 2000; cut"));
}

// Links lead to what the sandbox has there: never to the host's.
TEST_F(CodeWorldTest, LinksLeadNowhereBeyondTheSandbox) {
  const std::string secret = testing::TempDir() + "code_world_secret";
  std::ofstream(secret) << "secret";
  Bash("ln -s '" + secret +
       "' out; ln -s /proc/1/root/etc up; ln -s loop loop; ln -s /usr/bin bin; "
       "ln -s /etc/passwd users");
  ExpectRefused(Read("out"), "no file");
  ExpectRefused(Read("up/shadow"), "");
  ExpectRefused(Read("loop"), "");
  EXPECT_THAT(Read("users").observation, HasSubstr("dev:x:1000"));
  ExpectRefused(Edit("users", "dev:x:", "root:x:"), "Read-only");
  ExpectRefused(Edit("bin/new-program", "", "x"), "Read-only");
  ExpectRefused(Edit("/usr/bin/new-program", "", "x"), "Read-only");
  EXPECT_FALSE(Edit("out", "", "inside").failed) << "made where the link leads, inside";
  std::ifstream file(secret);
  std::string now;
  file >> now;
  EXPECT_EQ(now, "secret");
}

TEST_F(CodeWorldTest, EditFileReplacesWhatStandsThereOnce) {
  const ToolOutcome edited = Edit("src/a.py", "two\n", "2\n2\n");
  EXPECT_FALSE(edited.failed);
  EXPECT_EQ(edited.observation, "edited /work/src/a.py at line 2\n");
  EXPECT_EQ(Said("cat src/a.py"), "one\n2\n2\nthree\n[exit code 0]\n");
  ExpectRefused(Edit("src/a.py", "2", "3"), "stands 2 times, on lines 2, 3");
  ExpectRefused(Edit("src/a.py", "four", "4"), "does not stand in");
  ExpectRefused(Edit("src/a.py", "one", "one"), "the same");
  ExpectRefused(Edit("no.py", "one", "1"), "an empty old text creates it");
  EXPECT_EQ(Said("cat src/a.py"), "one\n2\n2\nthree\n[exit code 0]\n");
  Bash("printf aaa > same");
  ExpectRefused(Edit("same", "aa", "b"), "stands 2 times");
}

TEST_F(CodeWorldTest, EditFileCreatesWhatIsNotThereAndNothingElse) {
  EXPECT_FALSE(Edit("new/folder/b.py", "", "b\n").failed);
  EXPECT_EQ(Said("cat new/folder/b.py"), "b\n[exit code 0]\n");
  ExpectRefused(Edit("new/folder/b.py", "", "c\n"), "exists");
  ExpectRefused(Edit("README/b.py", "", "c\n"), "");
  EXPECT_EQ(Said("cat README"), "read me\n[exit code 0]\n") << "a file is no folder to be made";
  ExpectRefused(Edit("src", "", "c\n"), "not a regular file");
}

TEST_F(CodeWorldTest, EditFileKeepsTheExecutableBitAndLinks) {
  EXPECT_FALSE(Edit("run.sh", "ran", "ran again").failed);
  EXPECT_EQ(Said("./run.sh"), "ran again\n[exit code 0]\n");
  EXPECT_FALSE(Edit("link.py", "one", "1").failed);
  EXPECT_EQ(Said("readlink link.py; head -1 src/a.py; test -x src/a.py || echo plain"),
            "src/a.py\n1\nplain\n[exit code 0]\n");
}

// Python takes byte code for current while size and second of its source are the same.
TEST_F(CodeWorldTest, EditsOfEqualLengthAreSeenByPythonAtOnce) {
  Bash("printf 'x = 1\\n' > m.py");
  for (int i = 1; i < 6; ++i) {
    EXPECT_EQ(Said("python3 -c 'import m; print(m.x)'"), std::to_string(i) + "\n[exit code 0]\n");
    EXPECT_FALSE(Edit("m.py", "x = " + std::to_string(i), "x = " + std::to_string(i + 1)).failed);
  }
}

TEST_F(CodeWorldTest, ManyMatchesAreCountedInBoundedTime) {
  Bash("head -c 8000000 /dev/zero | tr '\\0' a > as");
  ExpectRefused(Edit("as", std::string(500'000, 'a'), "b"), "stands at least 100 times");
}

TEST_F(CodeWorldTest, SubmitEndsTheEpisode) {
  const ToolOutcome outcome = CallText("submit", "{}");
  EXPECT_TRUE(outcome.ended);
  EXPECT_FALSE(outcome.failed);
  EXPECT_TRUE(CallText("submit", "").ended);
}

TEST_F(CodeWorldTest, WrongArgumentsAreObservationsThatSayWhatIsWrong) {
  const struct {
    const char* tool;
    std::string arguments;
    const char* said;
  } cases[] = {
      {"bash", "", "'command' is missing"},
      {"bash", "nonsense", "not JSON"},
      {"bash", "{\"command\":\"true\"", "not JSON"},
      {"bash", "[]", "must be a JSON object, not array"},
      {"bash", "{\"command\":7}", "'command' must be of type string, not number"},
      {"bash", "{\"command\":\"\"}", "'command' must not be empty"},
      {"bash", "{\"command\":\"true\",\"cwd\":\"/\"}", "unknown argument 'cwd': bash takes"},
      {"bash", "{\"command\":\"true\",\"timeout_s\":0}", "at least 1"},
      {"bash", "{\"command\":\"true\",\"timeout_s\":601}", "at most 600"},
      {"bash", "{\"command\":\"true\",\"timeout_s\":1e300}", "must be of type integer"},
      {"bash", "{\"command\":\"true\",\"timeout_s\":1.5}", "must be of type integer"},
      {"bash", "{\"command\":\"true\",\"timeout_s\":null}", "must be of type integer, not null"},
      {"bash", "{\"command\":\"a\\u0000b\"}", "NUL"},
      {"bash", "{\"command\":\"" + std::string(200'000, 'x') + "\"}", "longer than 131071 bytes"},
      {"bash", "{\"command\":\"" + std::string(5'000'000, 'x') + "\"}", "longer than 1048576"},
      {"bash", "{\"command\":\"\xff\"}", "not JSON"},
      {"bash", std::string(100'000, '['), "not JSON"},
      {"read_file", "{\"path\":\"a\\u0000b\"}", "NUL"},
      {"read_file", "{\"path\":\"" + std::string(5'000, 'x') + "\"}", "too long"},
      {"read_file", "{\"path\":\"a\",\"from\":18446744073709551615}", "must be of type integer"},
      {"edit_file", "{\"path\":\"a\",\"old\":\"b\"}", "'new' is missing"},
      {"submit", "{\"answer\":1}", "submit takes no arguments"},
      {"rm", "{}", "unknown tool 'rm'; there are bash read_file edit_file submit"},
      {"", "{}", "unknown tool ''"},
  };
  for (const auto& wrong : cases) {
    SCOPED_TRACE(wrong.arguments.substr(0, 80));
    ExpectRefused(CallText(wrong.tool, wrong.arguments), wrong.said);
  }
  EXPECT_EQ(CallText("bash", "{\"command\":\"echo 1\",\"timeout_s\":5.0}").observation,
            "1\n[exit code 0]\n");
}

TEST_F(CodeWorldTest, TheFinalTreeIsWhatIsInTheRepository) {
  EXPECT_EQ(World().FinalTree({}).value(), tree_);
  Bash(
      "rm README; chmod +x src/a.py; mkdir -p x/y; echo z > x/y/z; mkfifo pipe; "
      "(while true; do date > x/y/busy; done) &");
  const FileTree left = World().FinalTree({}).value();
  EXPECT_FALSE(left.Contains("README"));
  EXPECT_FALSE(left.Contains("pipe"));
  EXPECT_EQ(*left.Find("x/y/z")->content, "z\n");
  EXPECT_EQ(left.Find("src/a.py")->kind, FileEntry::Kind::kExecutable);
  EXPECT_EQ(World().FinalTree({}).value(), left) << "nothing goes on";
}

TEST_F(CodeWorldTest, ByteCodeAndCachesAreNoPartOfTheFinalTree) {
  Bash(
      "echo 'x = 1' > m.py; python3 -c 'import m'; mkdir -p a/.pytest_cache; "
      "touch a/.pytest_cache/x a.pytest_cache");
  EXPECT_THAT(Said("ls __pycache__"), HasSubstr("m.cpython"));
  FileTree expected = tree_;
  ASSERT_TRUE(expected.Set("m.py", RegularFile("x = 1\n")).ok());
  ASSERT_TRUE(expected.Set("a.pytest_cache", RegularFile("")).ok());
  EXPECT_EQ(World().FinalTree({}).value(), expected);
}

TEST_F(CodeWorldTest, AStateThatIsTooLargeIsTheAgentsOwnFault) {
  Bash("mkdir many; cd many; seq 1 100100 | xargs touch", 60);
  const auto tree = World().FinalTree({});
  ASSERT_FALSE(tree.ok());
  EXPECT_EQ(tree.status().boundary(), Boundary::kEnvironment);
  EXPECT_THAT(tree.status().message(), HasSubstr("more than 100000 files"));
  Bash("rm -rf many; truncate -s 900M sparse");
  EXPECT_EQ(World().FinalTree({}).status().boundary(), Boundary::kEnvironment);
  Bash("rm sparse; for i in $(seq 300); do mkdir d && cd d; done; touch deep");
  EXPECT_EQ(World().FinalTree({}).status().boundary(), Boundary::kEnvironment);
  Bash("rm -rf d; chmod 000 src README .");
  const auto closed = World().FinalTree({});
  EXPECT_TRUE(closed.ok() || closed.status().boundary() == Boundary::kEnvironment)
      << closed.status().ToString();
}

TEST_F(CodeWorldTest, AClosedWorkFolderIsTheAgentsOwnProblem) {
  Bash("chmod 000 .");
  ExpectRefused(Bash("true"), "");
  EXPECT_TRUE(CallText("submit", "{}").ended);
}

}  // namespace
}  // namespace taskmint::environments
