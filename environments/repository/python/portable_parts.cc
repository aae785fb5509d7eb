#include "environments/repository/python/portable_parts.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "environments/repository/python/pytest_command.h"
#include "environments/repository/python/scripts.h"
#include "environments/repository/python/sources.h"
#include "environments/repository/python/standard_modules.h"
#include "environments/repository/python/steering.h"
#include "proto/base/check.h"
#include "proto/base/json.h"

namespace taskmint::environments {
namespace {

nlohmann::json PathsOf(const std::set<std::string>& paths) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& path : paths) list.push_back(JsonOfBytes(path));
  return list;
}

}  // namespace

PortableParts PythonPortableParts(const v1::RepositoryEnvironment& environment,
                                  const FileTree& reference) {
  PortableParts parts;
  nlohmann::json data;
  data["runner_programs"] = nlohmann::json::array();
  for (const char* name : kRunnerScripts) data["runner_programs"].push_back(name);
  for (const char* name :
       {"class_lines.py", "compile.py", "runner.py", "doctor.py", "expectations.py"}) {
    const Status set = parts.programs.Set(name, RegularFile(std::string(PythonScript(name))));
    TASKMINT_CHECK(set.ok());
  }
  parts.variables = VariablesOfRuns(environment);
  const std::string& command = environment.test_command();
  const auto arguments = ArgumentsOfPytest(command.empty() ? "pytest" : command);
  data["python"] = kPythonOfRuns;
  data["base_python"] = kBasePython;
  data["unicode_tables"] = "/venv/share/hypothesis";
  data["test_command"] = command;
  data["starts_runner"] = arguments.has_value();
  data["arguments"] = nullptr;
  if (arguments) data["arguments"] = WithoutPaths(*arguments);
  data["options"] = PytestOptions("{report}");
  data["standard_modules"] =
      std::vector<std::string>(std::begin(kStandardModules), std::end(kStandardModules));
  const SteeringRules rules = SteeringRulesBeside(reference);
  data["steering_names"] = rules.names;
  data["steering_endings"] = rules.endings;
  data["site_modules"] = rules.site_modules;
  data["runner_prefixes"] = rules.runner_prefixes;
  data["runner_modules"] = rules.runner_modules;
  data["import_roots"] = PathsOf(rules.import_roots);
  data["known_files"] = PathsOf(rules.known_files);
  data["known_modules"] = PathsOf(rules.known_modules);
  parts.data_json = DumpJson(data);
  return parts;
}

}  // namespace taskmint::environments
