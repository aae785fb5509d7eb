#include "orchestrator/commands/sandbox_host.h"

#include "orchestrator/terminal.h"

namespace taskmint::orchestrator {
namespace {

sandbox::HostOptions& OptionsOfAllCommands() {
  static sandbox::HostOptions options;
  return options;
}

}  // namespace

void AddSandboxWeak(Command root) {
  root.Flag("--sandbox-weak", OptionsOfAllCommands().weak,
            "Go on where this machine cannot give a sandbox a wall that `doctor` misses; evidence "
            "names it");
}

Result<std::unique_ptr<sandbox::SandboxHost>> MakeSandboxHost() {
  TASKMINT_ASSIGN_OR_RETURN(auto host, sandbox::MakeBubblewrapHost(OptionsOfAllCommands()));
  for (const std::string& wall : host->MissingWalls()) {
    Complain("sandboxes are weak here: they have no " + wall);
  }
  return host;
}

}  // namespace taskmint::orchestrator
