// Tests of known outcome that look like a repository's own.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SENTINELS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SENTINELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::DrawSentinels. Two files; among their tests at least one passes, fails by an
// assertion, fails by an exception, is in error by its fixture, and is skipped.
std::vector<SentinelFile> DrawPythonSentinels(const FileTree& overlay,
                                              const std::vector<std::string>& graded_files,
                                              uint64_t draw);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SENTINELS_H_
