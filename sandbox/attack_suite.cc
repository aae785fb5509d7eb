#include "sandbox/attack_suite.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proto/base/json.h"
#include "proto/base/utf8.h"
#include "sandbox/errors.h"

extern "C" {
extern const char taskmint_attack_table_begin[];
extern const char taskmint_attack_table_end[];
extern const char taskmint_attack_programs_begin[];
extern const char taskmint_attack_programs_end[];
}

namespace taskmint::sandbox {
namespace {

using nlohmann::json;

constexpr char kPlace[] = "/tmp/attacks";
// The programs end by themselves after 20 s where nothing else ends them.
constexpr int64_t kWallMsMax = 30'000;
// Written by planted code that comes to run.
constexpr char kRanMark[] = "/tmp/taskmint-attack-ran";
// What a verifier does next: the tools that attacks plant files for.
constexpr char kHonestCommand[] =
    "python3 -I -c 'import json, os, sys, unittest' && git --version > /dev/null && "
    "echo honest $((6 * 7))";
constexpr int kThroughStatus = 42;

std::string LineThatStarts(const std::string& output, const std::string& word) {
  for (size_t begin = 0; begin < output.size();) {
    const size_t end = std::min(output.find('\n', begin), output.size());
    if (output.compare(begin, word.size(), word) == 0) return output.substr(begin, end - begin);
    begin = end + 1;
  }
  return "";
}

void ReadLimits(const json& limits, Attack& attack) {
  Limits& all = attack.spec.limits;
  const auto read = [&](const char* name, int64_t& limit) { limit = IntOr(limits, name, limit); };
  read("processes_max", all.processes_max);
  read("memory_bytes_max", all.memory_bytes_max);
  read("disk_bytes_max", all.disk_bytes_max);
  read("inodes_max", all.inodes_max);
  read("file_bytes_max", all.file_bytes_max);
  read("open_files_max", all.open_files_max);
  read("wall_ms_max", attack.command.wall_ms_max);
  read("cpu_ms_max", attack.command.cpu_ms_max);
  read("output_bytes_max", attack.command.output_bytes_max);
  read("written_bytes_max", attack.command.written_bytes_max);
}

Status PutPrograms(Sandbox& sandbox, const std::stop_token& stop) {
  FileTree tree;
  TASKMINT_RETURN_IF_ERROR(tree.Set(
      "programs.tar", RegularFile({taskmint_attack_programs_begin, taskmint_attack_programs_end})));
  TASKMINT_RETURN_IF_ERROR(sandbox.Put(tree, kPlace, 0));
  Command unpack;
  unpack.argv = {"tar", "-xf", "programs.tar"};
  unpack.folder = kPlace;
  TASKMINT_ASSIGN_OR_RETURN(const CommandResult result, sandbox.Run(unpack, stop));
  if (result.exit_code == 0 && result.signal == 0) return OkStatus();
  return Error(Code::kUnavailable, "cannot unpack the attacks: " + result.error_output);
}

// What the sandbox is good for afterwards; empty: all is as it should be.
std::string FaultAfter(Sandbox& sandbox, const std::stop_token& stop) {
  if (const Status killed = sandbox.KillAll(); !killed.ok()) {
    return "what it left cannot be killed: " + killed.message();
  }
  for (const char* path : {"/work", "/tmp"}) {
    const Status cleared = sandbox.Clear(path);
    if (!cleared.ok()) return "cannot be cleaned up: " + cleared.message();
  }
  Command honest;
  honest.argv = {"sh", "-c", kHonestCommand};
  honest.wall_ms_max = kWallMsMax;
  const Result<CommandResult> result = sandbox.Run(honest, stop);
  if (!result.ok()) return "the sandbox is dead: " + result.status().message();
  if (result->output != "honest 42\n") return "a command behind it failed: " + result->error_output;
  if (sandbox.Get(kRanMark, 1 << 16).status().code() != Code::kNotFound) {
    return "code that it planted ran";
  }
  return "";
}

}  // namespace

Result<std::vector<Attack>> ReadAttacks() {
  TASKMINT_ASSIGN_OR_RETURN(const json table,
                            ParseJson({taskmint_attack_table_begin, taskmint_attack_table_end}));
  std::vector<Attack> attacks;
  for (const json& row : table) {
    Attack attack;
    attack.name = StringOr(row, "name", "");
    attack.attack_class = StringOr(row, "class", "");
    attack.wall = StringOr(row, "wall", "");
    attack.note = StringOr(row, "note", "");
    attack.is_canary = BoolOr(row, "canary", false);
    attack.is_python = StringOr(row, "program", "") == "python";
    attack.causes = {StringOr(row, "cause", "")};
    for (const json& cause : row.value("also", json::array())) {
      attack.causes.push_back(cause.is_string() ? cause.get<std::string>() : "");
    }
    attack.command.wall_ms_max = kWallMsMax;
    ReadLimits(row.value("limits", json::object()), attack);
    attack.command.argv = {std::string(kPlace) + "/attacks", attack.name};
    if (attack.is_python) {
      attack.command.argv = {"python3", std::string(kPlace) + "/python/" + attack.name + ".py"};
    }
    if (attack.name.empty() || attack.wall.empty() || attack.causes[0].empty()) {
      return Error(Code::kInternal, "the table of attacks has a row without name, wall or cause");
    }
    attacks.push_back(std::move(attack));
  }
  return attacks;
}

Result<AttackOutcome> RunAttack(SandboxHost& sandboxes, const Attack& attack,
                                std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(auto sandbox, sandboxes.Open(attack.spec, stop));
  TASKMINT_RETURN_IF_ERROR(PutPrograms(*sandbox, stop));
  AttackOutcome outcome;
  struct stat mark;
  const bool marked_before = ::lstat(kRanMark, &mark) == 0;
  const Result<CommandResult> result = sandbox->Run(attack.command, stop);
  if (stop.stop_requested()) return Error(Code::kCancelled, "cancelled");
  if (!result.ok()) {
    outcome.detail = "the sandbox died: " + Printable(result.status().message());
    return outcome;
  }
  outcome.cause = CauseOf(*result);
  outcome.wall_ms = result->wall_ms;
  const std::string through = LineThatStarts(result->output, "through: ");
  const auto& causes = attack.causes;
  if (!through.empty() || result->exit_code == kThroughStatus) {
    outcome.detail = through.empty() ? "it ended as one that came through" : through;
  } else if (std::find(causes.begin(), causes.end(), outcome.cause) == causes.end()) {
    outcome.detail = "it ended otherwise than it must: " + outcome.cause + ", exit code " +
                     std::to_string(result->exit_code) + ", signal " +
                     std::to_string(result->signal) + "; " + CutMiddle(result->error_output, 300);
  } else if (!marked_before && ::lstat(kRanMark, &mark) == 0) {
    outcome.detail = std::string(kRanMark) + " is on the host";
  } else if (outcome.cause == "memory") {
    outcome.contained = true;  // the sandbox may be spent; those beside it are not
  } else {
    outcome.detail = FaultAfter(*sandbox, stop);
    outcome.contained = outcome.detail.empty();
  }
  outcome.detail = Printable(outcome.detail);
  return outcome;
}

}  // namespace taskmint::sandbox
