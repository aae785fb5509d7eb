// An exported task in real containers, built by podman from its Dockerfiles.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "environments/repository/language_driver.h"
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
    const std::string reward = FileText(logs + "reward.json");
    const auto json = ParseJson(reward);
    EXPECT_TRUE(json.ok()) << name << ": " << reward << Output();
    if (!json.ok()) return "none";
    EXPECT_EQ(FileText(logs + "reward.txt"), (*json)["reward"] == 1 ? "1\n" : "0\n");
    return StringOr(*ParseJson(FileText(logs + "report.json")), "verdict", "none");
  }

  const std::string script_;
};

// As root, with a user of its own for the code under test: what the sandbox's proof cannot show.
TEST_F(ContainersTest, TheSolutionPassesAndNothingElseDoes) {
  if (std::system("podman --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "podman is missing";
  ASSERT_EQ(Run("build", Write(Harbor())), 0) << Output();
  const std::string work = folder_.path() + "/work";
  ASSERT_EQ(Run("solve", work), 0) << Output();
  const FileTree gold = TreeOfFolder(work);
  EXPECT_TRUE(gold == proposal_.gold_tree);
  EXPECT_EQ(Grade("gold", gold), "pass");
  EXPECT_EQ(Grade("null", proposal_.parent_tree), "fail");
  const auto* driver = environments::FindDriver("python");
  std::vector<std::string> ids;
  const v1::TestVerifier expected = Expected();
  ids.insert(ids.end(), expected.fail_to_pass().begin(), expected.fail_to_pass().end());
  ids.insert(ids.end(), expected.pass_to_pass().begin(), expected.pass_to_pass().end());
  for (const auto& cheater : driver->Cheaters({proposal_.parent_tree,
                                               proposal_.gold_tree,
                                               proposal_.overlay,
                                               ids,
                                               {"tests/test_clamp.py"}})) {
    EXPECT_NE(Grade(cheater.name, cheater.tree), "pass") << cheater.name;
  }
}

}  // namespace
}  // namespace taskmint::orchestrator
