// The taskmint command. Only wires: every command stands in a file of its own in commands/.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "orchestrator/command_line.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/log.h"

// A standard descriptor that was closed would be the next file opened, by a library that begins
// before main().
static void OpenStandardDescriptors(int /*argc*/, char** /*argv*/, char** /*variables*/) {
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0 || fd > STDERR_FILENO) {
      if (fd > STDERR_FILENO) ::close(fd);
      return;
    }
  }
}

__attribute__((section(".preinit_array"),
               used)) static void (*const before_libraries)(int, char**,
                                                            char**) = OpenStandardDescriptors;

int main(int argc, char** argv) {
  using namespace taskmint::orchestrator;  // NOLINT(google-build-using-namespace)
  SurviveBrokenPipes();
  CommandLine line(
      "Mints agentic RL tasks that are hard to cheat: environments, tools, tasks and verifiers, "
      "each "
      "proven by a gate against some thirty attacks, and replayable.",
      TASKMINT_VERSION);
  Command root = line.root();
  static std::string log_level = "warning";
  root.Choice("--log-level", log_level, {"debug", "info", "warning", "error", "off"},
              "Lowest level of the log lines on standard error");
  AddSandboxWeak(root);
  root.Example("taskmint synth code --repo ~/src/attrs --tasks-max 20")
      .Example("taskmint list --where \"fail_to_pass > 1\"")
      .Example("taskmint replay --all");
  AddSynth(root);
  AddList(root);
  AddShow(root);
  AddStats(root);
  AddVerify(root);
  AddReplay(root);
  AddServe(root);
  AddAudit(root);
  AddExport(root);
  AddImport(root);
  AddPlay(root);
  AddTrajectory(root);
  AddStore(root);
  AddSandbox(root);
  AddDoctor(root);
  const int code = line.Run(argc, argv, [] { taskmint::SetLogLevel(std::string_view(log_level)); });
  if (std::fflush(stdout) != 0 && errno != EPIPE) {
    Complain(std::string("cannot write to standard output: ") + std::strerror(errno));
    return code == kExitDone ? kExitFailed : code;
  }
  return code;
}
