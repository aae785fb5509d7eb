// From JUnit cases to pytest's node ids.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_TEST_ID_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_TEST_ID_H_

#include <string>
#include <string_view>
#include <unordered_map>

#include "environments/repository/language_driver.h"
#include "proto/base/file_tree.h"

namespace taskmint::environments {

// See TestNames. Cost: a pass over the tree's paths to make it; for each id, 64 look-ups at most,
// whatever the attributes are.
class PytestNodeIds : public TestNames {
 public:
  explicit PytestNodeIds(const FileTree& tree);

  // "tests/test_a.py::TestB::test_c[d]" from xunit1's file, classname and name; the file's path
  // alone for an error of its collection. `file` is where the test was defined, which for an
  // inherited test is another file than the one that runs it: classname decides. Empty when no file
  // of the tree fits, or the classname has more than 64 components or 4096 bytes.
  std::string Id(std::string_view file, std::string_view class_name,
                 std::string_view name) const override;

 private:
  // The file that the longest prefix of `dotted` names; empty when there is none.
  std::string_view FileOfPrefix(std::string_view dotted) const;

  const FileTree& tree_;
  // By path as pytest writes it into classname; the keys are owned, the paths are the tree's.
  std::unordered_map<std::string, std::string_view> files_;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_TEST_ID_H_
