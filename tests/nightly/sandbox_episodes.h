// Short lives of sandboxes: good ones, awkward ones and hostile ones.
#ifndef TASKMINT_TESTS_NIGHTLY_SANDBOX_EPISODES_H_
#define TASKMINT_TESTS_NIGHTLY_SANDBOX_EPISODES_H_

#include <functional>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

struct EpisodeKind {
  std::string name;
  // Opens a sandbox, does something, closes it. What went wrong; empty: nothing.
  std::function<std::string(SandboxHost&)> run;
};

// Of each kind one: commands, files, line processes, proxies, limits, cancelled and refused opens,
// and attacks of the embedded suite that take little time and leave as much as they can.
std::vector<EpisodeKind> EpisodeKinds();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_NIGHTLY_SANDBOX_EPISODES_H_
