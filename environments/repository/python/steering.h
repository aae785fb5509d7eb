// Which files steer pytest, which are tests, and which are code.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_STEERING_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_STEERING_H_

#include <set>
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

// What PythonForeignSteering and PythonRoleOf go by, as data for the portable grader, with what it
// needs to know of a reference tree.
struct SteeringRules {
  std::vector<std::string> names;            // of steering files, wherever they stand
  std::vector<std::string> endings;          // of such names
  std::vector<std::string> site_modules;     // that the interpreter imports by itself
  std::vector<std::string> runner_prefixes;  // of modules that the runner is made of,
  std::vector<std::string> runner_modules;   // and others that it imports; kStandardModules as well
  std::set<std::string> import_roots;        // "" or ending in '/'
  std::set<std::string> known_files;         // files of the reference that would be foreign
  std::set<std::string> known_modules;       // "src/attr": such modules that the reference has
};
SteeringRules SteeringRulesBeside(const FileTree& reference);

// See LanguageDriver::IsDerived.
bool IsPythonDerived(std::string_view path);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_STEERING_H_
