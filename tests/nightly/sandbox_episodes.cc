#include "tests/nightly/sandbox_episodes.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include "proto/base/random.h"
#include "sandbox/attack_suite.h"
#include "sandbox/proxy.h"

namespace taskmint::sandbox {
namespace {

// A machine under load: only what hangs is to fail.
constexpr int64_t kWallMsMax = 120'000;

constexpr std::array kHostile = {
    // Processes and signals.
    "fork_bomb", "thread_bomb", "zombies", "orphaned_zombies", "orphans_left",
    "stopped_orphans_left", "orphan_storm", "kill_everything", "daemon_holds_stdout",
    "grandchild_keeps_pipe", "stdout_closed_early", "daemon_by_subprocess", "crash",
    // Memory, files, descriptors and objects.
    "memfd_hog", "dev_shm_fill", "unlinked_fill", "inode_flood_dev_shm", "descriptor_exhaustion",
    "descriptors_in_flight", "pipe_buffer_hog", "sysv_leftovers", "posix_leftovers",
    "message_queue_flood", "multiprocessing_leftovers", "endless_stdout",
    // Ways out.
    "abstract_sockets", "abstract_names_taken", "path_sockets", "unshare_namespaces",
    "clone_namespaces", "mount", "keyrings", "netlink", "special_files_left", "links_left",
    "descriptors_of_pid_one", "control_groups", "work_folder_replaced"};

Command CommandOf(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  command.wall_ms_max = kWallMsMax;
  return command;
}

std::string Told(const CommandResult& result) {
  return std::string(CauseOf(result)) + ", exit code " + std::to_string(result.exit_code) +
         ", signal " + std::to_string(result.signal) + ": " + result.output.substr(0, 200) +
         result.error_output.substr(0, 200);
}

// Runs a command in a fresh sandbox, which must write this.
std::string Expect(SandboxHost& host, const Command& command, const std::string& output) {
  const auto sandbox = host.Open({}, {});
  if (!sandbox.ok()) return sandbox.status().ToString();
  const auto result = (*sandbox)->Run(command, {});
  if (!result.ok()) return result.status().ToString();
  if (result->exit_code == 0 && result->output == output) return "";
  return Told(*result);
}

std::string Files(SandboxHost& host) {
  const auto sandbox = host.Open({}, {});
  if (!sandbox.ok()) return sandbox.status().ToString();
  FileTree tree;
  for (int i = 0; i < 50; ++i) {
    const Status set = tree.Set("folder/" + std::to_string(i), RegularFile(std::string(1000, 'x')));
    if (!set.ok()) return set.ToString();
  }
  if (const Status put = (*sandbox)->Put(tree, "/work", 0); !put.ok()) return put.ToString();
  const auto result = (*sandbox)->Run(
      CommandOf({"sh", "-c", "cat folder/* > all && ln -s all link && mkfifo pipe"}), {});
  if (!result.ok()) return result.status().ToString();
  const auto all = (*sandbox)->Get("/work/all", 1 << 20);
  if (!all.ok() || all->size() != 50'000) return "not what was written: " + Told(*result);
  const auto collected = (*sandbox)->Collect("/work", {});
  if (!collected.ok()) return collected.status().ToString();
  return collected->files().size() == 52 ? "" : "not as many files as were written";
}

// A warm process that is left behind, in mid conversation.
std::string Lines(SandboxHost& host) {
  const auto sandbox = host.Open({}, {});
  if (!sandbox.ok()) return sandbox.status().ToString();
  auto process = (*sandbox)->Start(CommandOf(
      {"python3", "-uc", "import sys\nfor line in sys.stdin: print(line.strip().upper())"}));
  if (!process.ok()) return process.status().ToString();
  for (int i = 0; i < 3; ++i) {
    if (const Status said = (*process)->WriteLine("word"); !said.ok()) return said.ToString();
    const auto line = (*process)->ReadLine(kWallMsMax, {});
    if (!line.ok()) return line.status().ToString();
    if (*line != "WORD") return "an odd answer: " + *line;
  }
  return "";
}

std::string Proxied(SandboxHost& host) {
  const auto proxy = Proxy::Start({});
  if (!proxy.ok()) return proxy.status().ToString();
  SandboxSpec spec;
  spec.network = {Network::Mode::kProxy, (*proxy)->socket_path()};
  const auto sandbox = host.Open(spec, {});
  if (!sandbox.ok()) return sandbox.status().ToString();
  const auto result = (*sandbox)->Run(
      CommandOf({"python3", "-c",
                 "import urllib.request as r\ntry: r.urlopen('http://example.test/')\n"
                 "except Exception as e: print(e)"}),
      {});
  if (!result.ok()) return result.status().ToString();
  return result->output.find("403") != std::string::npos ? "" : Told(*result);
}

std::string EndedBy(SandboxHost& host, Command command, Ending ending, std::stop_token stop) {
  const auto sandbox = host.Open({}, {});
  if (!sandbox.ok()) return sandbox.status().ToString();
  const auto result = (*sandbox)->Run(command, stop);
  if (!result.ok()) return result.status().ToString();
  return result->ending == ending ? "" : Told(*result);
}

std::string Cancelled(SandboxHost& host) {
  std::stop_source source;
  Command command = CommandOf({"sh", "-c", "echo started; sleep 1000"});
  command.on_output = [&](std::string_view) { source.request_stop(); };
  return EndedBy(host, std::move(command), Ending::kCancelled, source.get_token());
}

std::string TooLong(SandboxHost& host) {
  Command command = CommandOf({"sleep", "1000"});
  command.wall_ms_max = 50;
  return EndedBy(host, std::move(command), Ending::kWallTime, {});
}

// Cancelled somewhere on its way.
std::string CancelledOpen(SandboxHost& host) {
  std::stop_source source;
  const std::jthread canceller([&] {
    std::this_thread::sleep_for(std::chrono::microseconds(Random(SystemRandom()).Below(12'000)));
    source.request_stop();
  });
  const auto sandbox = host.Open({}, source.get_token());
  if (sandbox.ok() || sandbox.status().code() == Code::kCancelled) return "";
  return sandbox.status().ToString();
}

std::string RefusedOpen(SandboxHost& host) {
  SandboxSpec spec;
  spec.mounts = {{"/no/such/folder", "/data", false}};
  const auto sandbox = host.Open(spec, {});
  if (!sandbox.ok() && sandbox.status().code() == Code::kInvalidArgument) return "";
  return "it is not refused: " + sandbox.status().ToString();
}

// bubblewrap itself fails, on a place in a read-only folder: what was prepared for it goes away.
std::string FailedOpen(SandboxHost& host) {
  SandboxSpec spec;
  spec.mounts = {{"/usr/share", "/work/shown", false},
                 {"/etc/hosts", "/work/shown/no-hosts", false}};
  return host.Open(spec, {}).ok() ? "it is not refused" : "";
}

std::string HostileOne(SandboxHost& host, const Attack& attack) {
  const auto outcome = RunAttack(host, attack, {});
  if (!outcome.ok()) return outcome.status().ToString();
  return outcome->contained ? "" : outcome->detail;
}

}  // namespace

std::vector<EpisodeKind> EpisodeKinds() {
  std::vector<EpisodeKind> good = {
      {"echo",
       [](SandboxHost& host) {
         return Expect(host, CommandOf({"echo", "hi"}), "hi\n");
       }},
      {"python",
       [](SandboxHost& host) {
         return Expect(host, CommandOf({"python3", "-c", "print(6 * 7)"}), "42\n");
       }},
      {"files", Files},
      {"lines", Lines},
      {"proxied", Proxied},
      {"daemons left",
       [](SandboxHost& host) {
         return Expect(host, CommandOf({"sh", "-c", "setsid sleep 1000 > /dev/null 2>&1 & echo x"}),
                       "x\n");
       }},
      {"too long", TooLong},
      {"cancelled", Cancelled},
      {"cancelled open", CancelledOpen},
      {"refused open", RefusedOpen},
      {"failed open", FailedOpen}};
  std::vector<EpisodeKind> kinds;
  const auto attacks = ReadAttacks();
  for (const char* name : kHostile) {
    kinds.push_back({name, [](SandboxHost&) { return std::string("there is no such attack"); }});
    if (!attacks.ok()) continue;
    for (const Attack& attack : *attacks) {
      if (attack.name != name) continue;
      kinds.back().run = [attack](SandboxHost& host) { return HostileOne(host, attack); };
    }
    // A good one behind each: half of all.
    kinds.push_back(good[kinds.size() / 2 % good.size()]);
  }
  return kinds;
}

}  // namespace taskmint::sandbox
