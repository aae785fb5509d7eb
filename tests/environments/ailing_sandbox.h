// A sandbox on a machine that fails, for tests of whose fault what is.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_AILING_SANDBOX_H_
#define TASKMINT_TESTS_ENVIRONMENTS_AILING_SANDBOX_H_

#include <string>
#include <utility>

#include "tests/environments/forwarding_sandbox.h"

namespace taskmint::environments {

// A real sandbox, until the machine under it fails.
class AilingSandbox : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  // At the next command the kernel kills everything, because the machine is short of memory; it
  // tells so once.
  inline static bool starving = false;
  inline static bool starved = false;
  inline static bool told = false;
  // The next command alone is killed for the same reason.
  inline static bool killing = false;
  inline static bool killed = false;
  // What the agent answers when it is to collect the tree; OK: the tree.
  inline static Status collecting;

  Result<sandbox::CommandResult> Run(const sandbox::Command& command,
                                     std::stop_token stop) override {
    starved = starved || starving;
    if (std::exchange(killing, false)) {
      killed = true;
      sandbox::CommandResult result;
      result.ending = sandbox::Ending::kMemory;
      return result;
    }
    return starved ? Gone() : ForwardingSandbox::Run(command, std::move(stop));
  }
  Result<std::string> Get(std::string_view path, int64_t bytes_max) override {
    return starved ? Gone() : ForwardingSandbox::Get(path, bytes_max);
  }
  Status KillAll() override { return starved ? Gone() : ForwardingSandbox::KillAll(); }
  Result<FileTree> Collect(std::string_view path, const sandbox::CollectLimits& limits) override {
    if (!collecting.ok()) return collecting;
    return ForwardingSandbox::Collect(path, limits);
  }
  bool HostRanOutOfMemory() override {
    return std::exchange(killed, false) || (starved && !std::exchange(told, true));
  }
  int64_t MemoryKills() override { return starved ? 3 : 0; }

 private:
  static Status Gone() { return {Code::kUnavailable, Boundary::kSandbox, "the sandbox died"}; }
};

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_AILING_SANDBOX_H_
