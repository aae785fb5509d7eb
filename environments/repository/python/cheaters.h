// Attacks on the grader, as solutions.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_CHEATERS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_CHEATERS_H_

#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Cheaters. Each would pass were the defence that stops it missing:
//   conftest-*, sitecustomize, pth, shadow-*, pytest-on-path    foreign steering is removed
//   deleted-tests, edited-tests                                 the fix's tests are put back
//   exit-zero, skip-everything                                  no report, or not every id passed
//   forged-report-*, exit-hook, reporter-*, swallowed-failures, profiler, assertion-*
//                                                               sentinels, exit code
//   git-oracle, release-hunt                                    nothing of the fix is in the
//   sandbox
std::vector<AlteredSolution> PythonCheaters(const CheaterMaterial& material);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_CHEATERS_H_
