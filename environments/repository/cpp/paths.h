// What the files of a C or C++ repository are to the grader.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_PATHS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_PATHS_H_

#include <string>
#include <string_view>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// A CMakeLists.txt or a Makefile at the root, no Python packaging beside it, and more sources of C
// and C++ than of Python: helper scripts in Python make no Python project, and a C++ extension of a
// Python package is one.
bool IsCppRepository(const std::vector<std::string>& paths);
// See LanguageDriver. Steering is what configures, builds and lists tests: CMake's, CTest's and
// make's files, presets, tool chains, package managers' files.
PathRole CppRoleOf(std::string_view path);
// A translation unit below a test folder, or named like a test, that is not a bundled framework's.
bool IsCppTestFile(std::string_view path);
// Among them precompiled headers, and headers that would stand before those of a test framework or
// of the standard library.
std::vector<std::string> CppForeignSteering(const FileTree& solution, const FileTree& reference);

// Whether the name ends like one of a C or C++ source that is compiled by itself; or of any.
bool IsTranslationUnit(std::string_view path);
bool IsCppCode(std::string_view path);

// Paths of the base at which headers or CMake packages of the repository's own names would be: a
// release of it that is installed there must not be seen. Sorted.
std::vector<std::string> InstalledReleases(const FileTree& tree);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_PATHS_H_
