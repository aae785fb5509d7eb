// Which files steer pytest, which are tests, and which are code.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_STEERING_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_STEERING_H_

#include <string>
#include <string_view>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver for what each must tell.
bool IsPythonRepository(const std::vector<std::string>& paths);
PathRole PythonRoleOf(std::string_view path);
bool IsPythonTestFile(std::string_view path);
std::vector<std::string> PythonForeignSteering(const FileTree& solution, const FileTree& reference);

// See LanguageDriver::IsDerived.
bool IsPythonDerived(std::string_view path);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_STEERING_H_
