#include "tests/orchestrator/command_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "proto/base/check.h"

extern char** environ;

namespace taskmint::orchestrator {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (variables.count(text.substr(0, text.find('='))) == 0) environment.push_back(text);
  }
  for (const auto& [name, value] : variables) {
    if (!value.empty()) environment.push_back(name + "=" + value);
  }
  return environment;
}

}  // namespace

nlohmann::json CommandOutcome::Json() const {
  return nlohmann::json::parse(output, nullptr, false);
}

CommandProcess::CommandProcess(const std::vector<std::string>& arguments,
                               const std::map<std::string, std::string>& variables,
                               const std::string& input) {
  folder_ = (std::filesystem::temp_directory_path() / "taskmint-command-XXXXXX").string();
  TASKMINT_CHECK(mkdtemp(folder_.data()) != nullptr);
  std::vector<std::string> words = {TASKMINT_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = Environment(variables);
  std::ofstream(folder_ + "/input", std::ios::binary) << input;
  posix_spawn_file_actions_t actions;
  TASKMINT_CHECK(posix_spawn_file_actions_init(&actions) == 0);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 0, (folder_ + "/input").c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, (folder_ + "/output").c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, (folder_ + "/errors").c_str(), flags, 0600);
  const int error = posix_spawn(&child_, TASKMINT_BINARY, &actions, nullptr, Pointers(words).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  TASKMINT_CHECK(error == 0);
}

CommandProcess::~CommandProcess() {
  if (child_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void CommandProcess::Signal(int number) const {
  if (child_ > 0) kill(child_, number);
}

bool CommandProcess::running() {
  if (child_ > 0 && waitpid(child_, &status_, WNOHANG) == child_) child_ = -1;
  return child_ > 0;
}

CommandOutcome CommandProcess::Wait() {
  if (child_ > 0) waitpid(child_, &status_, 0);
  child_ = -1;
  CommandOutcome outcome;
  outcome.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  outcome.output = ReadFile(folder_ + "/output");
  outcome.errors = ReadFile(folder_ + "/errors");
  return outcome;
}

CommandOutcome Taskmint(const std::vector<std::string>& arguments,
                        const std::map<std::string, std::string>& variables,
                        const std::string& input) {
  return CommandProcess(arguments, variables, input).Wait();
}

}  // namespace taskmint::orchestrator
