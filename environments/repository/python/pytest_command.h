// How pytest is called for a graded run: its arguments, its variables, its interpreter.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PYTEST_COMMAND_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PYTEST_COMMAND_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/environment.pb.h"

namespace taskmint::environments {

// The environment's interpreter.
inline constexpr char kPythonOfRuns[] = "/venv/bin/python";
// The scripts that a test runner is put together from, in this order.
inline constexpr const char* kRunnerScripts[] = {"class_lines.py", "compile.py", "runner.py"};

// The arguments that a test command of the form `pytest ...`, `python -m pytest ...` gives to
// pytest; nothing for any other command. Quotes and backslashes as in sh; a command with other
// shell syntax is another command.
std::optional<std::vector<std::string>> ArgumentsOfPytest(const std::string& command);

// Those arguments of pytest's that are no paths: where a run names its own.
std::vector<std::string> WithoutPaths(const std::vector<std::string>& arguments);

// What every run is told, whatever the repository's settings say; the report goes to `report`.
std::vector<std::string> PytestOptions(const std::string& report);

// PATH and what else stands beside the sandbox's own variables; see LanguageDriver::Variables.
std::map<std::string, std::string> PythonVariables();

// Those, and the environment's own, which count.
std::map<std::string, std::string> VariablesOfRuns(const v1::RepositoryEnvironment& environment);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PYTEST_COMMAND_H_
