#include "environments/repository/python/pytest_command.h"

#include <set>
#include <string_view>

namespace taskmint::environments {
namespace {

// Options of pytest that take the next argument as their value.
bool TakesValue(std::string_view option) {
  static const std::set<std::string_view> kOptions = {"-k",           "-m",
                                                      "-c",           "-p",
                                                      "-o",           "-n",
                                                      "-W",           "-r",
                                                      "--ignore",     "--ignore-glob",
                                                      "--deselect",   "--rootdir",
                                                      "--confcutdir", "--import-mode",
                                                      "--maxfail",    "--tb",
                                                      "--capture",    "--color",
                                                      "--durations",  "--basetemp",
                                                      "--cov",        "--dist",
                                                      "--timeout",    "--override-ini"};
  return kOptions.contains(option);
}

}  // namespace

std::optional<std::vector<std::string>> ArgumentsOfPytest(const std::string& command) {
  std::vector<std::string> words;
  std::string word;
  bool within = false;
  char quote = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else if (c == '\\' && quote == '"' && i + 1 < command.size()) {
        word += command[++i];
      } else if (c == '$' && quote == '"') {
        return std::nullopt;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      within = true;
    } else if (c == '\\' && i + 1 < command.size()) {
      word += command[++i];
      within = true;
    } else if (c == ' ' || c == '\t') {
      if (within) words.push_back(std::move(word));
      word.clear();
      within = false;
    } else if (std::string_view("|&;<>()$`*?#~={}\n[]").find(c) != std::string_view::npos &&
               !(c == '=' && !words.empty())) {
      return std::nullopt;
    } else {
      word += c;
      within = true;
    }
  }
  if (quote != 0) return std::nullopt;
  if (within) words.push_back(std::move(word));
  if (words.empty()) return std::nullopt;
  if (words[0] == "pytest" || words[0] == "py.test") return {{words.begin() + 1, words.end()}};
  if (words.size() >= 3 && (words[0] == "python" || words[0] == "python3") && words[1] == "-m" &&
      words[2] == "pytest") {
    return {{words.begin() + 3, words.end()}};
  }
  return std::nullopt;
}

std::vector<std::string> WithoutPaths(const std::vector<std::string>& arguments) {
  std::vector<std::string> others;
  bool value = false;
  for (const std::string& argument : arguments) {
    if (value || argument.starts_with('-')) others.push_back(argument);
    value = !value && TakesValue(argument);
  }
  return others;
}

std::vector<std::string> PytestOptions(const std::string& report) {
  return {"-p",
          "no:cacheprovider",
          "-p",
          "no:randomly",
          "-o",
          "addopts=",
          "-o",
          "filterwarnings=default",
          "-o",
          "junit_family=xunit1",
          "--rootdir=/work",
          "--maxfail=0",
          "--continue-on-collection-errors",
          "--color=no",
          "--tb=native",  // the others parse the whole file for each failure
          "--junitxml=" + report};
}

std::map<std::string, std::string> PythonVariables() {
  return {{"PATH", "/venv/bin:/usr/bin:/bin"}, {"VIRTUAL_ENV", "/venv"}, {"PYTHONHASHSEED", "0"}};
}

std::map<std::string, std::string> VariablesOfRuns(const v1::RepositoryEnvironment& environment) {
  std::map<std::string, std::string> variables = PythonVariables();
  for (const auto& [name, value] : environment.variables()) variables[name] = value;
  return variables;
}

}  // namespace taskmint::environments
