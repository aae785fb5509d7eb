// The real taskmint binary as a child process.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_COMMAND_PROCESS_H_
#define TASKMINT_TESTS_ORCHESTRATOR_COMMAND_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace taskmint::orchestrator {

// How a command ended and what it wrote.
struct CommandOutcome {
  // 128 + signal when a signal ended it.
  int code = -1;
  std::string output;
  std::string errors;
  // The output as JSON; discarded when it is none.
  nlohmann::json Json() const;
};

// A running command. Waited for when destroyed.
class CommandProcess {
 public:
  // `variables` replace those of this process; an empty value unsets one. `input` is what it reads.
  CommandProcess(const std::vector<std::string>& arguments,
                 const std::map<std::string, std::string>& variables,
                 const std::string& input = "");
  ~CommandProcess();
  CommandProcess(const CommandProcess&) = delete;
  CommandProcess& operator=(const CommandProcess&) = delete;

  void Signal(int number) const;
  bool running();
  CommandOutcome Wait();

 private:
  std::string folder_;
  pid_t child_ = -1;
  int status_ = 0;
};

// Runs `taskmint ARGUMENTS` to its end.
CommandOutcome Taskmint(const std::vector<std::string>& arguments,
                        const std::map<std::string, std::string>& variables = {},
                        const std::string& input = "");

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_COMMAND_PROCESS_H_
