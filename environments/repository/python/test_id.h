// From a JUnit case to pytest's node id.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_TEST_ID_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_TEST_ID_H_

#include <string>
#include <string_view>

#include "proto/base/file_tree.h"

namespace taskmint::environments {

// "tests/test_a.py::TestB::test_c[d]" from xunit1's file, classname and name; the file's path alone
// for an error of its collection. `file` is where the test was defined, which for an inherited test
// is another file than the one that runs it: classname decides. Empty when no file of `tree` fits.
std::string PytestNodeId(std::string_view file, std::string_view class_name, std::string_view name,
                         const FileTree& tree);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_TEST_ID_H_
