// The sample's repository comes out the same everywhere: its builder compares the last commit's
// SHA.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/orchestrator/temporary_folder.h"

namespace taskmint::structure {
namespace {

const std::string kSample = TASKMINT_SOURCE_DIR "/datasets/sample";

int Shell(const std::string& command) { return std::system(command.c_str()); }

TEST(SampleRepositoryTest, DoesNotDependOnTheUserItsSettingsOrTheFolder) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/.gitconfig")
      << "[core]\n\tautocrlf = true\n\thooksPath = /nowhere\n[commit]\n\tgpgSign = true\n"
         "[user]\n\tname = Somebody Else\n[init]\n\tdefaultBranch = trunk\n"
         "[am]\n\tkeepcr = true\n\tthreeWay = true\n[apply]\n\twhitespace = fix\n";
  const std::string out = folder.path() + "/with a space/ledgerline.git";
  std::filesystem::create_directory(folder.path() + "/with a space");
  ASSERT_EQ(Shell("umask 077; HOME='" + folder.path() +
                  "' TZ=Asia/Tokyo GIT_DIR=/nowhere GIT_AUTHOR_DATE='2001-01-01T00:00:00' "
                  "GIT_COMMITTER_NAME=x sh '" +
                  kSample + "/make_repository.sh' '" + kSample + "' '" + out + "'"),
            0);
  EXPECT_EQ(Shell("git -c safe.directory='*' --git-dir '" + out + "' fsck --strict >/dev/null"), 0);
  // Again over what is there, as after a change.
  EXPECT_EQ(Shell("sh '" + kSample + "/make_repository.sh' '" + kSample + "' '" + out + "'"), 0);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path() + "/with a space"),
                          std::filesystem::directory_iterator()),
            1);
}

TEST(SampleRepositoryTest, ItsIssuesAreThoseThatCommitsName) {
  std::ifstream stream(kSample + "/issues.json");
  const nlohmann::json issues = nlohmann::json::parse(stream, nullptr, false);
  ASSERT_TRUE(issues.is_array());
  for (const nlohmann::json& issue : issues) {
    const std::string number = std::to_string(issue.value("number", 0));
    EXPECT_EQ(Shell("grep -rq '#" + number + ")' '" + kSample + "/patches'"), 0) << number;
    EXPECT_GT(issue.value("body", "").size(), 200U) << number;
  }
}

}  // namespace
}  // namespace taskmint::structure
