// Which tests of a repository a run leaves out.
#include <gtest/gtest.h>

#include <set>

#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

using PythonSelectionTest = PythonLayerTest;

TEST_F(PythonSelectionTest, MarksThatTheRepositoryLeavesOutAreLeftOut) {
  const std::string tests =
      "import pytest\ndef test_plain(): pass\n"
      "@pytest.mark.slow\ndef test_slow(): pass\n"
      "@pytest.mark.net\ndef test_net(): pass\n";
  const std::map<std::string, std::set<std::string>> left_by = {
      {"-m 'not slow' --no-such-option", {"plain", "net"}},
      {"-ra -m 'not slow and not net'", {"plain"}},
      {"-m 'not (slow or net)'", {"plain"}},
      {"-m slow", {"plain", "slow", "net"}},  // would leave out sentinels
      {"-q", {"plain", "slow", "net"}}};
  for (const auto& [options, left] : left_by) {
    const FileTree tree =
        TreeOf({{"pyproject.toml", "[tool.pytest.ini_options]\naddopts = \"" + options +
                                       "\"\nmarkers = ['slow', 'net']\n"},
                {"tests/test_a.py", tests}});
    auto session = PythonUnderTest().OpenSession(*host_, {}, built_, tree, {});
    ASSERT_TRUE(session.ok()) << session.status().ToString();
    for (const std::vector<std::string>& files :
         std::vector<std::vector<std::string>>{{}, {"tests/test_a.py"}}) {
      const auto output = (*session)->Run({files, {}, {}, {}, 60'000}, {});
      ASSERT_TRUE(output.ok()) << output.status().ToString();
      std::set<std::string> ran;
      for (const Case& test : CasesOf(*output, tree)) {
        ran.insert(test.id.substr(test.id.rfind('_') + 1));
      }
      EXPECT_EQ(ran, left) << options << "\n" << output->log;
    }
  }
}

}  // namespace
}  // namespace taskmint::environments
