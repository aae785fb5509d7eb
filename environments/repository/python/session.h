// Test runs in one sandbox, forked from a warm runner.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SESSION_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SESSION_H_

#include <memory>
#include <stop_token>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::OpenSession.
Result<std::unique_ptr<TestSession>> OpenPythonSession(sandbox::SandboxHost& sandboxes,
                                                       const v1::RepositoryEnvironment& environment,
                                                       const BuiltEnvironment& built,
                                                       const FileTree& tree, std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SESSION_H_
