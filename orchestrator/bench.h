// From records to something that tests can be run on.
#ifndef TASKMINT_ORCHESTRATOR_BENCH_H_
#define TASKMINT_ORCHESTRATOR_BENCH_H_

#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "environments/repository/candidate.h"
#include "orchestrator/run_context.h"
#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "proto/environment.pb.h"
#include "proto/task.pb.h"
#include "sandbox/sandbox.h"
#include "verifier/grading.h"

namespace taskmint::orchestrator {

// Unpacks the environment's layers into the store's cache, with the files that the driver derives
// from them (each once a machine), and lays the bench. NOT_FOUND or DATA_LOSS (store) when a blob
// is missing or damaged.
Result<verifier::GradingBench> MakeBench(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                         const v1::RepositoryEnvironment& environment,
                                         FileTree overlay, std::vector<std::string> removed_paths,
                                         FileTree parent_tree, std::stop_token stop);

// The bench of a candidate whose environment is built. FAILED_PRECONDITION (config) when the base
// has changed since the run began: what was judged before and after would not belong together.
Result<verifier::GradingBench> CandidateBench(RunContext& context, const v1::Candidate& candidate,
                                              const environments::Proposal& proposal,
                                              std::stop_token stop);

// A kept task, loaded from the store alone: neither its source nor the cache is needed.
struct TaskBench {
  verifier::GradingBench bench;
  FileTree parent_tree;
  std::string gold_patch;
};
Result<TaskBench> LoadTaskBench(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                const v1::Task& task, std::stop_token stop);

// Empty when this machine has the base that the task was minted on; else what differs, beginning
// with "base differs".
Result<std::string> BaseDifference(const v1::Task& task);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_BENCH_H_
