// From JUnit cases to the ids of C and C++ tests.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_TEST_ID_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_TEST_ID_H_

#include <string>
#include <string_view>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// "ctest-name/case"; of a program whose cases cannot be told the CTest name alone, which is coarse.
// A '/' in a CTest name is written "%2F", so that the first one ends it.
class CTestIds : public TestNames {
 public:
  // The class is the CTest name, the name the case; without a class, the name is the CTest name.
  // A case with a file alone is a test file that could not be built, and its path the id.
  std::string Id(std::string_view file, std::string_view class_name,
                 std::string_view name) const override;
};

// Whether `id` stands for a whole program.
bool IsCoarseCTestId(std::string_view id);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_TEST_ID_H_
