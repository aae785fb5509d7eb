// The command line: subcommands, options, help, exit codes. The only door to CLI11, because its
// header costs ten seconds of compiling.
#ifndef TASKMINT_ORCHESTRATOR_COMMAND_LINE_H_
#define TASKMINT_ORCHESTRATOR_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace taskmint::orchestrator {

// Exit codes of every command.
enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitBadArguments = 2,
  // The store holds no kept task of this input.
  kExitNothingKept = 3,
  // Of `sandbox`: none can be opened here.
  kExitNoSandbox = 125,
  // By Ctrl-C or SIGTERM; the same command goes on.
  kExitInterrupted = 130,
};

// One (sub)command. Targets must outlive CommandLine::Run; what the user leaves out keeps the
// target's value, which help shows as the default. Names are "--jobs", "-j,--jobs", or, without
// dashes, positional.
class Command {
 public:
  Command(CLI::App* app, std::function<int()>* chosen) : app_(app), chosen_(chosen) {}

  Command Add(const std::string& name, const std::string& description);
  Command& Flag(const std::string& name, bool& target, const std::string& help);
  // `type` is what help calls the value: "DIR".
  Command& Text(const std::string& name, std::string& target, const std::string& type,
                const std::string& help);
  Command& Texts(const std::string& name, std::vector<std::string>& target, const std::string& type,
                 const std::string& help);
  // The positional that takes the rest of the line, whatever it looks like.
  Command& Rest(const std::string& name, std::vector<std::string>& target, const std::string& type,
                const std::string& help);
  Command& Number(const std::string& name, int64_t& target, int64_t min, int64_t max,
                  const std::string& help);
  Command& Seed(const std::string& name, uint64_t& target, const std::string& help);
  Command& Choice(const std::string& name, std::string& target,
                  const std::vector<std::string>& choices, const std::string& help);
  // The option or positional of that name must be given.
  Command& Require(const std::string& name);
  // Its value must not be empty, as that of an unset shell variable is.
  Command& NotEmpty(const std::string& name);
  // It is refused without that other option, or beside it.
  Command& Needs(const std::string& name, const std::string& other);
  Command& Excludes(const std::string& name, const std::string& other);
  Command& Example(const std::string& text);
  // One of this command's subcommands must be given.
  Command& RequireSubcommand();
  // What to do once the line is parsed; returns the exit code.
  Command& Action(std::function<int()> action);

 private:
  CLI::App* app_;
  std::function<int()>* chosen_;
};

class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& version);
  ~CommandLine();
  // The root, for commands and options of all commands.
  Command root();
  // Parses, calls `before`, and runs the chosen action. Help and version go to standard output (0),
  // complaints about arguments to standard error (2).
  int Run(int argc, const char* const* argv, const std::function<void()>& before);

 private:
  std::unique_ptr<CLI::App> app_;
  std::function<int()> chosen_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMAND_LINE_H_
