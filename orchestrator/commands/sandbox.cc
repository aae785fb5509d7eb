// `taskmint sandbox`: the sandbox by itself.
#include "sandbox/sandbox.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/commands/sandbox_network.h"
#include "orchestrator/host_tree.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr int kExitNotAProgram = 126;
constexpr int kExitNoProgram = 127;
constexpr int64_t kMebibyte = int64_t{1} << 20;

struct RunOptions {
  std::vector<std::string> argv;
  std::vector<std::string> puts;
  std::vector<std::string> variables;
  std::vector<std::string> hosts;
  std::string network;
  std::string base;
  std::string folder = "/work";
  int64_t wall_seconds = 600;
  int64_t cpu_seconds = 0;
  int64_t memory_mib = 4096;
  int64_t disk_mib = 1024;
  int64_t processes = 256;
  int64_t output_mib = 1024;
  bool json = false;
};

// HOST:INSIDE, taken apart.
struct PutPlan {
  std::string host;
  std::string folder;  // absolute, inside
  std::string name;    // in it; empty where a folder's content goes into `folder`
};

Status BadArgument(const std::string& message) {
  return {Code::kInvalidArgument, Boundary::kConfig, message};
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

Result<PutPlan> PlanOf(const std::string& put) {
  const size_t colon = put.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == put.size()) {
    return BadArgument("--put wants HOST:INSIDE, such as src:/tmp/src, and got " + put);
  }
  PutPlan plan;
  plan.host = put.substr(0, colon);
  const auto inside_path = std::filesystem::path("/work") / put.substr(colon + 1);
  std::string inside = inside_path.lexically_normal().string();
  while (inside.size() > 1 && inside.back() == '/') inside.pop_back();
  if (inside == "/work" || inside == "/tmp") {
    plan.folder = inside;
    // A file goes into a folder that is there, under its own name.
    std::error_code error;
    const std::filesystem::path host = std::filesystem::absolute(plan.host, error);
    if (!std::filesystem::is_directory(host, error)) plan.name = host.filename().string();
    return plan;
  }
  const size_t slash = inside.rfind('/');
  plan.folder = inside.substr(0, slash);
  plan.name = inside.substr(slash + 1);
  if (plan.folder.empty()) {
    return BadArgument("--put cannot replace " + inside + ": choose a place below /work or /tmp");
  }
  return plan;
}

Status PutInto(sandbox::Sandbox& sandbox, const PutPlan& plan, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const HostTree read, ReadHostTree(plan.host, plan.name));
  const SystemClock clock;
  TASKMINT_RETURN_IF_ERROR(sandbox.Put(read.tree, plan.folder, clock.NowMs() / 1000));
  for (const auto& [mode, paths] : read.modes) {
    constexpr size_t kPathsAtOnce = 1000;
    for (size_t begin = 0; begin < paths.size(); begin += kPathsAtOnce) {
      char octal[8];
      std::snprintf(octal, sizeof octal, "%o", static_cast<unsigned>(mode));
      sandbox::Command command;
      command.argv = {"chmod", octal, "--"};
      command.variables = {{"PATH", "/usr/bin:/bin"}};  // where a base may have it, too
      command.folder = plan.folder;
      for (size_t at = begin; at < std::min(begin + kPathsAtOnce, paths.size()); ++at) {
        command.argv.push_back("./" + paths[at]);
      }
      TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult result, sandbox.Run(command, stop));
      if (result.exit_code != 0 || result.signal != 0) {
        return Status(Code::kInternal, Boundary::kSandbox, "chmod: " + result.error_output);
      }
    }
  }
  return OkStatus();
}

// An open sandbox and what it needs outside.
struct Opened {
  SandboxNetwork network;
  std::unique_ptr<sandbox::Sandbox> sandbox;
};

Result<Opened> Open(const RunOptions& options, std::stop_token stop) {
  std::vector<PutPlan> plans;
  for (const std::string& put : options.puts) {
    TASKMINT_ASSIGN_OR_RETURN(PutPlan plan, PlanOf(put));
    plans.push_back(std::move(plan));
  }
  Opened opened;
  sandbox::SandboxSpec spec;
  if (!options.base.empty()) {
    std::error_code error;
    spec.base_path = std::filesystem::absolute(options.base, error).string();
    spec.masked_paths.clear();  // they are for what the host's package list does not tell
  }
  spec.limits.memory_bytes_max = options.memory_mib * kMebibyte;
  spec.limits.disk_bytes_max = options.disk_mib * kMebibyte;
  spec.limits.file_bytes_max = options.disk_mib * kMebibyte;
  spec.limits.processes_max = options.processes;
  for (const std::string& variable : options.variables) {
    const size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return BadArgument("--env wants NAME=VALUE, and got " + variable);
    }
    spec.variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  for (const PutPlan& plan : plans) {
    const bool there = IsBelow(plan.folder, "/work") || IsBelow(plan.folder, "/tmp");
    const std::string top = plan.folder.substr(0, plan.folder.find('/', 1));
    auto& folders = spec.scratch_paths;
    if (!there && std::find(folders.begin(), folders.end(), top) == folders.end()) {
      folders.push_back(top);
    }
  }
  TASKMINT_ASSIGN_OR_RETURN(opened.network, OpenSandboxNetwork(options.network, options.hosts));
  spec.network = opened.network.network;
  TASKMINT_ASSIGN_OR_RETURN(const auto host, MakeSandboxHost());
  auto sandbox = host->Open(spec, stop);
  if (!sandbox.ok() && sandbox.status().code() == Code::kInvalidArgument) {
    return BadArgument(sandbox.status().message());
  }
  if (!sandbox.ok()) return sandbox.status();
  opened.sandbox = std::move(*sandbox);
  for (const PutPlan& plan : plans) {
    TASKMINT_RETURN_IF_ERROR(PutInto(*opened.sandbox, plan, stop));
  }
  return opened;
}

sandbox::Command CommandAsked(const RunOptions& options) {
  sandbox::Command command;
  command.argv = options.argv;
  command.folder = options.folder;
  command.wall_ms_max = options.wall_seconds * 1000;
  command.cpu_ms_max = options.cpu_seconds * 1000;
  command.written_bytes_max = options.output_mib * kMebibyte;
  command.input_fd = STDIN_FILENO;
  return command;
}

// Writes all of it to a descriptor of ours, however slowly it is read; false when nobody reads any
// more, or nobody waits.
bool PassOn(int fd, std::string_view bytes, const std::stop_token& stop) {
  constexpr int kLookMs = 100;
  while (!bytes.empty()) {
    pollfd writable{fd, POLLOUT, 0};
    if (stop.stop_requested()) return false;
    if (::poll(&writable, 1, kLookMs) <= 0) continue;
    // As much as a pipe that is said to be writable takes without waiting.
    const ssize_t size = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

// What the command ran on, where it was named.
Result<nlohmann::json> BaseJson(const std::string& base, const std::stop_token& stop) {
  std::error_code error;
  TASKMINT_ASSIGN_OR_RETURN(
      const sandbox::BaseLayer layer,
      sandbox::ReadBaseLayer(std::filesystem::absolute(base, error).string(), stop));
  return nlohmann::json{{"name", layer.name},
                        {"digest", layer.package_list_digest},
                        {"digest_of", layer.is_of_files ? "files" : "package list"}};
}

nlohmann::json ResultJson(const sandbox::CommandResult& result) {
  const bool exited = result.ending == sandbox::Ending::kExited;
  return {{"cause", sandbox::CauseOf(result)},
          {"exit_code", exited ? nlohmann::json(result.exit_code) : nlohmann::json()},
          {"signal", result.signal == 0 ? nlohmann::json() : nlohmann::json(result.signal)},
          {"wall_ms", result.wall_ms},
          {"cpu_ms", result.cpu_ms},
          {"memory_peak_bytes", result.memory_peak_bytes},
          {"processes_peak", result.processes_peak},
          {"written_bytes", result.written_bytes},
          {"output", result.output},
          {"output_cut_bytes", result.output_cut_bytes},
          {"error_output", result.error_output},
          {"error_output_cut_bytes", result.error_output_cut_bytes}};
}

int ShellCodeOf(const sandbox::CommandResult& result) {
  if (result.ending == sandbox::Ending::kExited) return result.exit_code;
  if (result.ending == sandbox::Ending::kSignalled) return 128 + result.signal;
  return 128 + SIGKILL;
}

int ComplainOfSandbox(const Status& status) {
  const int code = ComplainOf(status);
  return code == kExitBadArguments ? code : kExitNoSandbox;
}

// Runs the command in an open sandbox.
int RunOpened(const RunOptions& options, sandbox::Sandbox& sandbox, sandbox::Command command,
              const Interrupt& interrupt) {
  Result<nlohmann::json> base = nlohmann::json();
  if (options.json && !options.base.empty()) {
    base = BaseJson(options.base, interrupt.token());
    if (interrupt.interrupted()) return kExitInterrupted;
  }
  if (!base.ok()) return ComplainOfSandbox(base.status());
  std::stop_source nobody_reads;
  const std::stop_callback interrupted(interrupt.token(), [&] { nobody_reads.request_stop(); });
  const auto pass_to = [&](int fd) {
    return [&, fd](std::string_view bytes) {
      if (!PassOn(fd, bytes, nobody_reads.get_token())) nobody_reads.request_stop();
    };
  };
  if (!options.json) {
    command.on_output = pass_to(STDOUT_FILENO);
    command.on_error_output = pass_to(STDERR_FILENO);
  }
  const auto result = sandbox.Run(command, nobody_reads.get_token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!result.ok()) {
    Complain(result.status().message());
    const bool of_program =
        result.status().message().find(options.argv.front()) != std::string::npos;
    if (result.status().code() == Code::kNotFound && of_program) return kExitNoProgram;
    if (result.status().code() == Code::kFailedPrecondition && of_program) return kExitNotAProgram;
    return kExitNoSandbox;
  }
  if (options.json) {
    nlohmann::json told = ResultJson(*result);
    if (!base->is_null()) told["base"] = *base;
    PrintOut(DumpJson(told, true) + "\n");
  } else if (const auto cause = sandbox::CauseOf(*result);
             cause != "exited" && cause != "signalled" && cause != "cancelled") {
    Complain("ended by its limit: " + std::string(cause));
  }
  return ShellCodeOf(*result);
}

int RunExec(const RunOptions& options) {
  const Interrupt interrupt("stopping");
  auto opened = Open(options, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!opened.ok()) return ComplainOfSandbox(opened.status());
  return RunOpened(options, *opened->sandbox, CommandAsked(options), interrupt);
}

// Keys reach the sandbox as they are typed, while it lives.
class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    set_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
  }
  ~RawTerminal() {
    if (set_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
  bool set_ = false;
};

int RunShell(RunOptions options) {
  if (!IsTerminal(STDIN_FILENO) || !IsTerminal(STDOUT_FILENO)) {
    Complain("a shell wants a terminal: use `taskmint sandbox exec -- sh -c ...`");
    return kExitBadArguments;
  }
  const Interrupt interrupt("stopping");
  auto opened = Open(options, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!opened.ok()) return ComplainOfSandbox(opened.status());
  if (options.argv.empty()) options.argv = {"bash"};
  sandbox::Command command = CommandAsked(options);
  command.terminal_fd = STDIN_FILENO;
  if (const char* kind = std::getenv("TERM")) command.variables["TERM"] = kind;
  const RawTerminal raw;
  return RunOpened(options, *opened->sandbox, std::move(command), interrupt);
}

void AddPlaceOptions(Command& command, RunOptions& options) {
  command
      .Text(
          "--base", options.base, "DIR",
          "A root tree to run in, read-only, instead of this machine's /usr: made by mmdebstrap or "
          "debootstrap, or unpacked from an OCI image (umoci unpack)")
      .Texts("--put", options.puts, "HOST:INSIDE",
             "A file or folder of this machine, copied to a path inside with its mode; below /work "
             "where it is relative. Folders without files are left out. May be repeated")
      .Text("--folder", options.folder, "PATH", "Where it runs")
      .Texts("--env", options.variables, "NAME=VALUE", "A variable. May be repeated")
      .Texts("--allow", options.hosts, "HOST[:PORT]",
             "A host that may be reached over HTTP(S); without one there is no network. May be "
             "repeated")
      .Text("--network", options.network, "MODE",
            "none, allow-list (the hosts of --allow), record:FOLDER (packages from the indexes of "
            "pip's, uv's and npm's settings, kept in the folder) or replay:FOLDER (those packages, "
            "without any network)")
      .Number("--wall-seconds", options.wall_seconds, 1, 1'000'000,
              "Wall-clock time (default: 600; of a shell a day)")
      .Number("--cpu-seconds", options.cpu_seconds, 0, 1'000'000,
              "CPU time of all processes; 0: any (default)")
      .Number("--memory-mib", options.memory_mib, 16, 1'000'000,
              "Memory of all processes and file systems (default: 4096)")
      .Number("--disk-mib", options.disk_mib, 1, 1'000'000,
              "Each file system that can be written (default: 1024)")
      .Number("--processes", options.processes, 2, 100'000,
              "Processes and threads at once (default: 256)")
      .Number("--output-mib", options.output_mib, 1, 1'000'000,
              "Standard output and error, each, before it is killed (default: 1024)");
}

}  // namespace

void AddSandbox(Command root) {
  Command sandbox = root.Add("sandbox", "The sandbox by itself: run anything untrusted in it");
  static RunOptions exec_options;
  Command exec = sandbox.Add(
      "exec",
      "Run a command in a fresh sandbox. Standard input, output and error are passed through; "
      "exits "
      "with the command's code, 128 + the signal's number when it was killed, 127 when there is no "
      "such program, 126 when it cannot be run, 125 when no sandbox can be opened");
  exec.Rest("argv", exec_options.argv, "ARGV", "Behind --: the program and its arguments")
      .Require("argv")
      .Flag("--json", exec_options.json,
            "Print one object instead: cause, exit_code, signal, usage, output, error_output, and "
            "with --base its name and digest");
  AddPlaceOptions(exec, exec_options);
  exec.Example("taskmint sandbox exec -- python3 -c 'print(6 * 7)'")
      .Example("taskmint sandbox exec --put .:/work --memory-mib 512 -- make test")
      .Example(
          "taskmint sandbox exec --network record:packages --put $(command -v uv):/tmp/uv -- "
          "/tmp/uv pip install --target site attrs")
      .Example("taskmint sandbox exec --json --cpu-seconds 5 -- sh -c 'while :; do :; done'")
      .Example(
          "mmdebstrap --variant=minbase trixie trixie && taskmint sandbox exec --base trixie -- "
          "cat /etc/debian_version")
      .Action([] { return RunExec(exec_options); });

  static RunOptions shell_options;
  shell_options.wall_seconds = 86'400;
  Command shell = sandbox.Add("shell", "A shell in a fresh sandbox, on this terminal");
  shell.Rest("argv", shell_options.argv, "ARGV", "Another program than bash, behind --");
  AddPlaceOptions(shell, shell_options);
  shell.Example("taskmint sandbox shell --put .:/work")
      .Example("taskmint sandbox shell -- python3")
      .Example(
          "umoci unpack --rootless --image alpine:3.20 bundle && taskmint sandbox shell --base "
          "bundle/rootfs -- sh")
      .Action([] { return RunShell(shell_options); });
  AddSandboxAttack(sandbox);
  AddSandboxBench(sandbox);
  sandbox.Example("taskmint sandbox exec -- python3 -c 'print(6 * 7)'")
      .Example("taskmint sandbox attack")
      .RequireSubcommand();
}

}  // namespace taskmint::orchestrator
