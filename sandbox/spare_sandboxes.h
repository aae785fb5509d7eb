// Sandboxes that are open before they are asked for.
#ifndef TASKMINT_SANDBOX_SPARE_SANDBOXES_H_
#define TASKMINT_SANDBOX_SPARE_SANDBOXES_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

struct SpareLimits {
  // Spares of one kind at once, and kinds that have some.
  size_t spares_max = 2;
  size_t kinds_max = 8;
  // A spare that nobody wants for so long is closed.
  int64_t idle_ms_max = 30'000;
};

// A host that opens ahead: of a kind (an equal spec) that was asked for twice within idle_ms_max,
// it keeps spares, which it opens in a thread of its own. Every sandbox is given out once and is as
// fresh as any. Opening costs a millisecond where a spare is ready, and else what `host` takes
// (about 12 ms, most of them waiting in the kernel for control groups and namespaces). No spares of
// what holds more than it reads: sandboxes with a proxy, or with a folder that can be written.
// Thread-safe; `host` outlives it. A failure to open a spare is no failure: the next who asks for
// one is told by `host` itself.
class SpareSandboxes final : public SandboxHost {
 public:
  explicit SpareSandboxes(SandboxHost& host, SpareLimits limits = {});
  // Closes the spares.
  ~SpareSandboxes() override;
  SpareSandboxes(const SpareSandboxes&) = delete;
  SpareSandboxes& operator=(const SpareSandboxes&) = delete;

  Result<std::unique_ptr<Sandbox>> Open(const SandboxSpec& spec, std::stop_token stop) override;
  // How many are ready.
  size_t spares() const;

 private:
  struct Kind {
    SandboxSpec spec;
    std::vector<std::unique_ptr<Sandbox>> ready;
    std::chrono::steady_clock::time_point asked;
    bool wanted = false;  // asked for twice
    bool failed = false;  // could not be opened: not tried again until it is asked for
  };

  void Work(const std::stop_token& stop);
  // What is to be closed, with the kinds that nobody asks for. Under the mutex.
  std::vector<std::unique_ptr<Sandbox>> TakeIdle();

  SandboxHost& host_;
  const SpareLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Kind> kinds_;
  std::jthread worker_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_SPARE_SANDBOXES_H_
