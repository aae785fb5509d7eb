// Programs that attack the sandbox from inside, so that users can see for themselves what holds.
#ifndef TASKMINT_SANDBOX_ATTACK_SUITE_H_
#define TASKMINT_SANDBOX_ATTACK_SUITE_H_

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

// One program of tests/attacks and what must become of it.
struct Attack {
  std::string name;
  // "resources", "lifetime", "escape" or "integrity".
  std::string attack_class;
  // What stands in its way: "seccomp", "pids limit", ...
  std::string wall;
  // Words of CauseOf, any of which is as it must be.
  std::vector<std::string> causes;
  std::string note;
  bool is_python = false;
  // It must come through where its wall is left out.
  bool is_canary = false;
  // The sandbox that it gets, and the limits of its one command.
  SandboxSpec spec;
  Command command;
};

// All of them, in the order of the table. INTERNAL (sandbox) never happens to a binary that passed
// its tests.
Result<std::vector<Attack>> ReadAttacks();

struct AttackOutcome {
  bool contained = false;
  // Of the attack's command; empty where it could not be run.
  std::string cause;
  // Why it is not contained, in one line.
  std::string detail;
  int64_t wall_ms = 0;
};

// Opens a sandbox, runs one attack in it, then an honest command, and closes it. Contained is an
// attack that says that every attempt was refused, or is ended by a limit that it was meant to
// meet, and leaves nothing behind that the honest command or another sandbox could trip over.
// Errors as SandboxHost::Open and Sandbox::Run: the attack could not be tried. Thread-safe.
Result<AttackOutcome> RunAttack(SandboxHost& sandboxes, const Attack& attack, std::stop_token stop);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ATTACK_SUITE_H_
