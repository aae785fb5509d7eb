// Makes some Python tests fail, so that a run that says otherwise is known to lie.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_DOCTORING_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_DOCTORING_H_

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Doctor. Left alone are tests whose file the base's interpreter cannot parse,
// tests under decorators or marks that might swallow the failure, tests that others call, and
// inherited ones whose class is in another file. One sandbox opened and closed.
Result<DoctoredTests> DoctorPythonTests(sandbox::SandboxHost& sandboxes, const FileTree& overlay,
                                        const std::vector<std::string>& targets,
                                        const std::vector<std::string>& others, uint64_t draw,
                                        std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_DOCTORING_H_
