// An exported task in real containers, built by podman from its Dockerfiles.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "environments/repository/language_driver.h"
#include "proto/base/json.h"
#include "tests/orchestrator/exported_fixture.h"

namespace taskmint::orchestrator {
namespace {

class ContainersTest : public ExportedTest {
 protected:
  ContainersTest() : script_(std::string(TASKMINT_SOURCE_DIR) + "/tests/nightly/containers.sh") {}
  ~ContainersTest() override { Run("remove", ""); }

  int Run(const std::string& action, const std::string& argument) {
    const std::string command = script_ + " '" + folder_.path() + "/podman' " + action + " '" +
                                argument + "' >'" + folder_.path() + "/output' 2>&1 </dev/null";
    return std::system(command.c_str());
  }
  std::string Output() { return FileText(folder_.path() + "/output"); }

  // What the verifier's container makes of a state.
  std::string Grade(const std::string& name, const FileTree& state) {
    const std::string path = folder_.path() + "/state-" + name;
    datasets::TaskFolder files;
    files.files = state;
    EXPECT_TRUE(datasets::WriteTaskFolder(files, path).ok());
    const int code = Run("grade", path);
    EXPECT_EQ(code, 0) << name << ": " << Output();
    const std::string logs = folder_.path() + "/podman/logs/";
    verifier::PortableRun run;
    verifier::ReadPortableRun(FileText(logs + "reward.json"), FileText(logs + "report.json"), run);
    EXPECT_EQ(FileText(logs + "reward.txt"), run.reward == 1 ? "1\n" : "0\n");
    EXPECT_EQ(run.reward, run.verdict == "pass" ? 1 : 0) << name;
    return run.verdict;
  }

  const std::string script_;
};

// Raises where the code under test can do what it must not; also when it is run a second time.
constexpr char kProbe[] = R"py(
import os
import signal

assert os.getuid() != 0 and os.getgroups() in ([], [os.getgid()])
for _number in range(3):
    assert os.getresuid()[_number] == os.getuid()
for _path in ("/tests/spec.json", "/tests/overlay.json", "/logs/verifier/reward.json", "/etc/x",
              "/reward", "/proc/1/environ"):
    for _mode in ("r", "w", "a"):
        try:
            open(_path, _mode)
        except OSError:
            continue
        raise RuntimeError(_path + " is open for " + _mode)
for _call in (lambda: os.rename("/logs/verifier", "/logs/other"), lambda: os.setuid(0),
              lambda: os.kill(os.getppid(), signal.SIGTERM), lambda: os.listdir("/tests")):
    try:
        _call()
    except OSError:
        continue
    raise RuntimeError("a call that must fail")
assert "NoNewPrivs:\t1" in open("/proc/self/status").read()
for _folder in ("/tmp", "/var/tmp", "/dev/shm"):
    if os.path.isdir(_folder):
        assert not os.path.exists(_folder + "/note")
        open(_folder + "/note", "w").close()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.pause()
    os._exit(0)
)py";

// As root, with a user of its own for the code under test: what the sandbox's proof cannot show.
TEST_F(ContainersTest, TheSolutionPassesAndCodeUnderTestIsKeptApart) {
  if (std::system("podman --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "podman is missing";
  ASSERT_EQ(Run("build", Write(Harbor())), 0) << Output();
  const std::string work = folder_.path() + "/work";
  ASSERT_EQ(Run("solve", work), 0) << Output();
  const FileTree gold = TreeOfFolder(work);
  EXPECT_TRUE(gold == proposal_.gold_tree);
  FileTree probe = gold;
  const std::string text = *gold.Find("bounds/clamp.py")->content + kProbe;
  ASSERT_TRUE(probe.Set("bounds/clamp.py", RegularFile(text)).ok());
  EXPECT_EQ(Grade("probe", probe), "pass") << FileText(folder_.path() + "/podman/logs/tests.log");
  EXPECT_EQ(Grade("null", proposal_.parent_tree), "fail");
  // Those that go for the grader, its files and its report; the others are the sandbox's proof.
  const std::set<std::string> tried = {"runner-parent", "forged-report-careful",
                                       "exit-hook",     "reporter-by-name",
                                       "edited-tests",  "conftest-root"};
  std::vector<std::string> ids;
  const v1::TestVerifier expected = Expected();
  ids.insert(ids.end(), expected.fail_to_pass().begin(), expected.fail_to_pass().end());
  ids.insert(ids.end(), expected.pass_to_pass().begin(), expected.pass_to_pass().end());
  size_t graded = 0;
  for (const auto& cheater :
       environments::FindDriver("python")->Cheaters({proposal_.parent_tree,
                                                     proposal_.gold_tree,
                                                     proposal_.overlay,
                                                     ids,
                                                     {"tests/test_clamp.py"}})) {
    if (tried.count(cheater.name) == 0) continue;
    ++graded;
    const std::string verdict = Grade(cheater.name, cheater.tree);
    EXPECT_TRUE(verdict == "fail" || verdict == "forged") << cheater.name << ": " << verdict;
  }
  EXPECT_EQ(graded, tried.size());
}

}  // namespace
}  // namespace taskmint::orchestrator
