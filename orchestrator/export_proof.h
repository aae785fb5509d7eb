// The proof of an export: a written task, run from nothing but its folder.
#ifndef TASKMINT_ORCHESTRATOR_EXPORT_PROOF_H_
#define TASKMINT_ORCHESTRATOR_EXPORT_PROOF_H_

#include <cstdint>
#include <stop_token>
#include <string>

#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

enum class ExportedFormat { kHarbor, kSwebench };

struct ProofRequest {
  // The task's folder.
  std::string folder;
  ExportedFormat format = ExportedFormat::kHarbor;
  // Host folder for unpacked layers, shared by proofs; made when absent, removable at any time.
  std::string cache_folder;
};

struct ProofOutcome {
  bool proven = false;
  // Why not, in one sentence; empty when proven.
  std::string reason;
  double oracle_reward = 0;
  double null_reward = 0;
  // Attack programs that got 0, and those among them of which nothing is left when graded: they
  // need no run beside the one of doing nothing.
  int64_t cheaters = 0;
  int64_t cheaters_as_nothing = 0;
  int64_t sandboxes = 0;
  int64_t wall_ms = 0;
};

// Does with a folder what its format's consumers do, over Taskmint's sandbox (see ContainerImage):
//
// Harbor: the agent's container is built from environment/, solution/solve.sh is run in it, and the
// work folder is carried over into a container built from tests/, whose test.sh must leave a reward
// of 1. The untouched work folder must get 0, and so must every attack program of the language's
// driver, made from the trees of the folder. Both reward files must agree, and no verdict (none of
// them) is as bad as a wrong one.
//
// SWE-bench: the container is built from the folder, gold.patch applied, eval.sh run, and its
// output read as swebench's pytest parser and its grading do: resolved, or not.
//
// An answer may take WallMsMaxBeside what the solution took. Costs a sandbox and one or two runs
// for each of about forty states. Thread-safe. A Status means that nothing is known: the sandbox or
// a full disk failed, a package is missing here (FAILED_PRECONDITION), `stop` (CANCELLED).
Result<ProofOutcome> ProveExportedTask(sandbox::SandboxHost& sandboxes, const ProofRequest& request,
                                       std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EXPORT_PROOF_H_
