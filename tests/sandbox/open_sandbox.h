// What the sandbox room's tests share.
#ifndef TASKMINT_TESTS_SANDBOX_OPEN_SANDBOX_H_
#define TASKMINT_TESTS_SANDBOX_OPEN_SANDBOX_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

// The one host of the test process.
inline SandboxHost& TestHost() {
  static const std::unique_ptr<SandboxHost> host = [] {
    Result<std::unique_ptr<SandboxHost>> made = MakeBubblewrapHost();
    if (!made.ok()) ADD_FAILURE() << made.status().ToString();
    return made.ok() ? std::move(*made) : nullptr;
  }();
  return *host;
}

inline std::unique_ptr<Sandbox> OpenSandbox(const SandboxSpec& spec = {}) {
  Result<std::unique_ptr<Sandbox>> opened = TestHost().Open(spec, {});
  if (!opened.ok()) ADD_FAILURE() << opened.status().ToString();
  return opened.ok() ? std::move(*opened) : nullptr;
}

inline Command Shell(std::string script) {
  Command command;
  command.argv = {"sh", "-c", std::move(script)};
  command.wall_ms_max = 30'000;
  return command;
}

inline Command Python(std::string script) {
  Command command;
  command.argv = {"python3", "-c", std::move(script)};
  command.wall_ms_max = 30'000;
  return command;
}

// The result of a command that must run.
inline CommandResult RunIn(Sandbox& sandbox, const Command& command) {
  Result<CommandResult> result = sandbox.Run(command, {});
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    return {};
  }
  return *std::move(result);
}

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_OPEN_SANDBOX_H_
