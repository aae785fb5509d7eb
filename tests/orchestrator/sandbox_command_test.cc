// `taskmint sandbox`, the binary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/environments/git_fixture.h"
#include "tests/environments/index_server.h"
#include "tests/orchestrator/command_process.h"

namespace taskmint::orchestrator {
namespace {

using environments::TemporaryFolder;
using testing::HasSubstr;
using testing::Not;

CommandOutcome Exec(std::vector<std::string> options, const std::vector<std::string>& argv,
                    const std::string& input = "") {
  std::vector<std::string> arguments = {"sandbox", "exec"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.emplace_back("--");
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  return Taskmint(arguments, {}, input);
}

TEST(SandboxCommandTest, StreamsPassThroughUnchangedAndTheStatusIsTheCommands) {
  std::string bytes(300'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  const CommandOutcome copied = Exec({}, {"sh", "-c", "cat; echo told >&2; exit 41"}, bytes);
  EXPECT_EQ(copied.code, 41);
  EXPECT_TRUE(copied.output == bytes);
  EXPECT_EQ(copied.errors, "told\n");
  EXPECT_EQ(Exec({}, {"sh", "-c", "kill -TERM $$"}).code, 128 + SIGTERM);
  const CommandOutcome none = Exec({}, {"no-such-program"});
  EXPECT_EQ(none.code, 127);
  EXPECT_THAT(none.errors, HasSubstr("no-such-program"));
}

TEST(SandboxCommandTest, WhatIsPutKeepsItsModeAndMayBeRun) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const std::string& text, mode_t mode) {
    std::filesystem::create_directories(folder.path() + "/tree/deep");
    std::ofstream(folder.path() + "/tree/" + name) << text;
    ASSERT_EQ(::chmod((folder.path() + "/tree/" + name).c_str(), mode), 0);
  };
  write("run", "#!/bin/sh\necho ran\n", 0750);
  write("deep/secret", "s", 0600);
  std::filesystem::create_symlink("deep/secret", folder.path() + "/tree/link");
  const std::string put = folder.path() + "/tree:";
  const CommandOutcome seen =
      Exec({"--put", put + "/tmp/t", "--put", folder.path() + "/tree/run:/opt/bin/go", "--put",
            put + "below"},
           {"sh", "-c",
            "/tmp/t/run && /opt/bin/go && stat -c '%a %n' /tmp/t/run /tmp/t/deep/secret "
            "below/deep/secret && readlink /tmp/t/link"});
  EXPECT_EQ(seen.output,
            "ran\nran\n750 /tmp/t/run\n600 /tmp/t/deep/secret\n600 below/deep/secret\n"
            "deep/secret\n");
  EXPECT_EQ(seen.code, 0) << seen.errors;
  EXPECT_EQ(Exec({"--put", folder.path() + "/tree/run:."}, {"./run"}).output, "ran\n");
  EXPECT_EQ(Exec({"--put", folder.path() + "/tree:./", "--env", "PATH=/work"}, {"run"}).output,
            "ran\n");
  EXPECT_EQ(Exec({"--put", put + "x"}, {"./x/deep/secret"}).code, 126);
  for (const char* bad : {"nothing", "/proc/self/mem:m", "/etc/passwd:/usr/local/x", ":/work",
                          "tree:", "/no/such/file:a", "/dev/null:a", "/etc/passwd:/a"}) {
    const CommandOutcome refused = Exec({"--put", bad}, {"true"});
    EXPECT_EQ(refused.code, 2) << bad << refused.errors;
  }
}

TEST(SandboxCommandTest, ThereIsNoNetworkAndNothingOfTheCallersEnvironment) {
  const CommandOutcome seen =
      Taskmint({"sandbox", "exec", "--env", "COLOUR=blue", "--", "sh", "-c",
                "env | grep -c SECRET; echo $COLOUR; cat /proc/net/dev | grep -vc lo:"},
               {{"SECRET_OF_TEST", "x"}});
  EXPECT_EQ(seen.output, "0\nblue\n2\n") << seen.errors;
}

TEST(SandboxCommandTest, PackagesAreRecordedAndReplayedWithoutTheIndex) {
  const TemporaryFolder folder;
  const std::string index = folder.path() + "/index", kept = folder.path() + "/kept";
  std::filesystem::create_directory(index);
  std::ofstream(index + "/stone-1.0-py3-none-any.whl") << "bytes of a wheel";
  const std::string get =
      "import os, re, urllib.request as r\n"
      "page = r.urlopen(os.environ['PIP_INDEX_URL'] + 'stone/').read().decode()\n"
      "print(r.urlopen(re.search('href=\"([^\"#]+)', page)[1]).read().decode())\n";
  const auto run = [&](const std::vector<std::string>& options, const std::string& url) {
    std::vector<std::string> arguments = {"sandbox", "exec"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", "python3", "-c", get});
    return Taskmint(arguments, {{"UV_DEFAULT_INDEX", url},
                                {"HOME", folder.path()},
                                {"UV_NO_INDEX", ""},
                                {"UV_INDEX_URL", ""},
                                {"PIP_INDEX_URL", ""}});
  };
  {
    const environments::IndexServer server(index);
    const CommandOutcome recorded =
        run({"--network", "record:" + kept, "--allow",
             "127.0.0.1:" + std::to_string(server.files_port)},
            "http://127.0.0.1:" + std::to_string(server.port) + "/simple");
    EXPECT_EQ(recorded.output, "bytes of a wheel\n") << recorded.errors;
  }
  const CommandOutcome replayed = run({"--network", "replay:" + kept}, "");
  EXPECT_EQ(replayed.output, "bytes of a wheel\n") << replayed.errors;
  for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
           {"--network", "sometimes"},
           {"--network", "allow-list"},
           {"--network", "replay:"},
           {"--network", "none", "--allow", "a.example"},
           {"--network", "replay:" + kept, "--allow", "a.example"}}) {
    const CommandOutcome refused = run(bad, "");
    EXPECT_EQ(refused.code, 2) << bad[1] << refused.errors;
  }
  const CommandOutcome secret =
      run({"--network", "record:" + kept}, "http://me:word@127.0.0.1:9/simple");
  EXPECT_EQ(secret.code, 2);
  EXPECT_THAT(secret.errors, HasSubstr("wants a password"));
  EXPECT_THAT(secret.errors, Not(HasSubstr("word@")));
  EXPECT_THAT(run({"--network", "replay:" + folder.path() + "/none"}, "").errors,
              HasSubstr("record first"));
}

TEST(SandboxCommandTest, EveryLimitIsToldByItsName) {
  const auto cause = [](const std::vector<std::string>& options, const std::string& script) {
    std::vector<std::string> all = {"--json"};
    all.insert(all.end(), options.begin(), options.end());
    const CommandOutcome outcome = Exec(all, {"sh", "-c", script});
    const nlohmann::json told = outcome.Json();
    EXPECT_TRUE(told.is_object()) << outcome.output << outcome.errors;
    return std::to_string(outcome.code) + " " + told.value("cause", "");
  };
  const std::string spin = "while :; do :; done";
  EXPECT_EQ(cause({}, "exit 5"), "5 exited");
  EXPECT_EQ(cause({}, "kill -9 $$"), "137 signalled");
  EXPECT_EQ(cause({"--wall-seconds", "1"}, "sleep 60"), "137 wall-time");
  EXPECT_EQ(cause({"--cpu-seconds", "1"}, spin), "137 cpu-time");
  EXPECT_EQ(cause({"--output-mib", "1"}, "yes"), "137 output");
  EXPECT_EQ(
      cause({"--disk-mib", "1"}, "head -c 1000000 /dev/zero > a; head -c 999999 /dev/zero > b"),
      "1 disk");
}

TEST(SandboxCommandTest, SlowOddAndClosedStreamsHarmNothing) {
  const TemporaryFolder folder;
  const std::string command = std::string("'") + TASKMINT_BINARY + "' sandbox exec ";
  const auto shell = [&](const std::string& line) {
    const std::string out = folder.path() + "/out";
    const int status = std::system(("exec > " + out + " 2>&1; " + line).c_str());
    std::ifstream file(out);
    return std::to_string(WEXITSTATUS(status)) + " " +
           std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(shell(command + "--wall-seconds 20 -- wc -c <&-"), "0 0\n");
  EXPECT_EQ(shell(command + "-- sh -c 'echo seen; exit 3' 2>&-"), "3 seen\n");
  EXPECT_EQ(shell(command + "-- sh -c 'echo lost; exit 3' >&-"), "3 ");
  // A reader that does not wait, as node has.
  EXPECT_EQ(shell("python3 -c \"import os, subprocess, time\nr, w = os.pipe()\n"
                  "os.set_blocking(w, False)\n"
                  "p = subprocess.Popen(['" TASKMINT_BINARY "', 'sandbox', 'exec', '--', 'head', "
                  "'-c', '500000', '/dev/zero'], stdout=w)\nos.close(w)\ntime.sleep(1)\n"
                  "n = 0\nwhile b := os.read(r, 65536): n += len(b)\nprint(n, p.wait())\""),
            "0 500000 0\n");
  EXPECT_THAT(shell(command + "--wall-seconds 1 -- yes | (sleep 5; head -c 2)"),
              HasSubstr("limit: wall-time"));
}

TEST(SandboxCommandTest, AnInterruptEndsItAndAGoneReaderToo) {
  CommandProcess process({"sandbox", "exec", "--", "sh", "-c", "echo ready; sleep 60"}, {});
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  process.Signal(SIGINT);
  EXPECT_EQ(process.Wait().code, 130);
  const std::string line = std::string("timeout 20 '") + TASKMINT_BINARY +
                           "' sandbox exec -- yes | head -n 1 > /dev/null";
  EXPECT_EQ(std::system(line.c_str()), 0);
}

TEST(SandboxCommandTest, AnInterruptEndsItAtEveryMoment) {
  for (const int ms : {2, 5, 10, 15, 20, 25, 30, 40, 60, 100}) {
    CommandProcess process({"sandbox", "exec", "--", "sleep", "60"}, {});
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    process.Signal(SIGINT);
    EXPECT_EQ(process.Wait().code, 130) << "after " << ms << " ms";
  }
}

TEST(SandboxCommandTest, ABenchTellsEveryRowAndWhichTargetsWereMet) {
  const CommandOutcome outcome =
      Taskmint({"sandbox", "bench", "--json", "--rounds", "2", "--seconds", "1", "--sandboxes", "3",
                "--workload-rounds", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  const nlohmann::json told = outcome.Json();
  ASSERT_TRUE(told.is_object()) << outcome.output;
  EXPECT_GT(told["machine"]["cores"], 0);
  std::set<std::string> names;
  for (const auto& row : told["starts"]) {
    names.insert(row["name"]);
    EXPECT_NE(row["missing"].is_null(), row["median_ms"].is_null()) << row.dump();
    if (row["missing"].is_null()) {
      EXPECT_GT(row["median_ms"], 0) << row.dump();
    }
  }
  for (const char* name : {"posix_spawn", "bubblewrap", "runc", "sandbox: open + first exec",
                           "sandbox: close", "sandbox: exec in a live one"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(told["sustained"].size(), 2U);
  EXPECT_EQ(told["idle"]["sandboxes"], 3);
  EXPECT_EQ(told["workloads"].size(), 2U);
  EXPECT_GE(told["targets"].size(), 4U);
  const CommandOutcome table = Taskmint({"sandbox", "bench", "--only", "idle", "--sandboxes", "2"});
  EXPECT_EQ(table.code, 0) << table.errors;
  EXPECT_THAT(table.output, HasSubstr("IDLE, 2 OPEN AT ONCE"));
  EXPECT_THAT(table.output, Not(HasSubstr("START TO EXIT")));
  EXPECT_EQ(Taskmint({"sandbox", "bench", "--rounds", "0"}).code, 2);
}

TEST(SandboxCommandTest, AShellRunsOnATerminalOnly) {
  const CommandOutcome refused = Taskmint({"sandbox", "shell"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.errors, HasSubstr("wants a terminal"));
  const TemporaryFolder folder;
  const std::string typed = folder.path() + "/typed", seen = folder.path() + "/seen";
  std::ofstream(typed) << "test -t 0 && echo on-a-$((2*21))-terminal; exit 9\n";
  const std::string line = std::string("script -qec \"stty rows 31 cols 97; '") + TASKMINT_BINARY +
                           "' sandbox shell\" " + seen + " < " + typed + " > /dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(line.c_str())), 9);
  std::ifstream file(seen);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("on-a-42-terminal"));
  // All of it, up to the end.
  const std::string count = std::string("script -qec \"'") + TASKMINT_BINARY +
                            "' sandbox shell -- sh -c 'seq 1 20000; echo e > /dev/stderr'\" " +
                            seen + " < /dev/null > /dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(count.c_str())), 0);
  std::ifstream counted(seen);
  const std::string numbers((std::istreambuf_iterator<char>(counted)), {});
  EXPECT_THAT(numbers, HasSubstr("19999\r\n20000\r\ne\r\n"));
}

}  // namespace
}  // namespace taskmint::orchestrator
