// Test runs in one sandbox, forked from a warm runner.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SESSION_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SESSION_H_

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// The arguments that a test command of the form `pytest ...`, `python -m pytest ...` gives to
// pytest; nothing for any other command. Quotes and backslashes as in sh; a command with other
// shell syntax is another command.
std::optional<std::vector<std::string>> ArgumentsOfPytest(const std::string& command);

// See LanguageDriver::Variables.
std::map<std::string, std::string> PythonVariables();

// See LanguageDriver::OpenSession.
Result<std::unique_ptr<TestSession>> OpenPythonSession(sandbox::SandboxHost& sandboxes,
                                                       const v1::RepositoryEnvironment& environment,
                                                       const BuiltEnvironment& built,
                                                       const FileTree& tree, std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SESSION_H_
