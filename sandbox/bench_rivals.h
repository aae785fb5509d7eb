// Other ways from start to exit of `true`, for measuring beside the sandbox.
#ifndef TASKMINT_SANDBOX_BENCH_RIVALS_H_
#define TASKMINT_SANDBOX_BENCH_RIVALS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::sandbox {

// What the rivals and the sandbox run.
inline constexpr char kTrueProgram[] = "/usr/bin/true";

// A program of the host that ends when `true` inside it has ended. Its one number is the time from
// posix_spawn to waitpid, so that nothing of ours lies between.
class BenchRival {
 public:
  // `arguments` gives argv of the run of that number; no two runs share a number.
  BenchRival(std::string name, std::function<std::vector<std::string>(int64_t)> arguments);

  const std::string& name() const { return name_; }
  // Why there is no number of it; empty: it can be measured.
  const std::string& missing() const { return missing_; }
  void MarkMissing(std::string reason) { missing_ = std::move(reason); }

  // Runs it once, its output thrown away, and gives the milliseconds. UNAVAILABLE (sandbox) with
  // what it said where it ends otherwise than with 0. Thread-safe.
  Result<double> Run(int64_t number) const;

 private:
  std::string name_;
  std::function<std::vector<std::string>(int64_t)> arguments_;
  std::string missing_;
};

// The names of the rows that every run has.
inline constexpr char kSpawnRow[] = "posix_spawn";
inline constexpr char kBubblewrapRow[] = "bubblewrap";

// posix_spawn, bare bubblewrap (the namespaces of our sandbox; the host's /usr, /proc, /dev and an
// empty /tmp; no limits, no filter, no masks, no agent), runc and, where it is installed, crun (a
// minimal bundle of the same content, with a user namespace, so that it needs no root; found on
// PATH and in the folders of system programs). Each is tried once: one that is not installed or
// refuses is marked so. `folder` is an empty one for bundles and state; it must outlive them.
std::vector<BenchRival> MakeBenchRivals(const std::string& folder);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_BENCH_RIVALS_H_
