// Grading kept tasks again, from the store alone: `verify` and `replay`.
#ifndef TASKMINT_ORCHESTRATOR_REGRADE_H_
#define TASKMINT_ORCHESTRATOR_REGRADE_H_

#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "orchestrator/bench.h"
#include "proto/base/clock.h"
#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "proto/services.pb.h"
#include "proto/verdict.pb.h"
#include "sandbox/sandbox.h"
#include "verifier/grading.h"

namespace taskmint::orchestrator {

// A solution to grade.
struct ProposedSolution {
  enum class Kind { kGold, kNull, kPatch };
  Kind kind = Kind::kGold;
  // kPatch only: a unified diff against the environment's tree.
  std::string patch;
};

// Grades one solution of a kept task. A patch that does not apply fails (0); a base that differs
// is no verdict. A Status means that the task could not be loaded (a damaged blob) or that `stop`
// was requested (CANCELLED). A run of anything but the reference solution may take AnswerWallMsMax,
// unless a run of the fix shows that this machine needs more.
Result<verifier::GradeResult> GradeSolution(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                            const v1::Candidate& kept,
                                            const ProposedSolution& solution, std::stop_token stop);

// Grades a final state of the repository, as an episode leaves it, on what was loaded of `kept`.
// Else as GradeSolution.
Result<verifier::GradeResult> GradeTree(const TaskBench& loaded, const v1::Candidate& kept,
                                        const FileTree& tree, std::stop_token stop);

// Whether there was a verdict, and no other than the evidence's.
bool Agrees(const v1::ReplayReport& report);

// Runs the reference solution and the untouched state again and compares the verdicts' digests
// with those in the evidence.
Result<v1::ReplayReport> Replay(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                const v1::Candidate& kept, const Clock& clock,
                                std::stop_token stop);

// "pass", "fail", "forged", "no-verdict".
std::string VerdictStateName(v1::Verdict::State state);
// "passed", "failed", "error", "skipped", "missing".
std::string TestStatusName(v1::TestStatus status);

// A candidate that is a kept task, by the task's id or a prefix of it. NOT_FOUND (store);
// FAILED_PRECONDITION (store) when it was rejected.
Result<v1::Candidate> FindKept(datasets::Store& store, const std::string& id);

// The same for callers of a server: NOT_FOUND (store) when it was rejected, too. Ids of candidates
// follow from their commits: which of a public source's were tried narrows down what fixes a task.
Result<v1::Candidate> FindServed(datasets::Store& store, const std::string& id);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_REGRADE_H_
