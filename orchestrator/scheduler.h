// Runs a run's stage jobs on worker threads until nothing is left to do.
#ifndef TASKMINT_ORCHESTRATOR_SCHEDULER_H_
#define TASKMINT_ORCHESTRATOR_SCHEDULER_H_

#include <cstdint>
#include <stop_token>
#include <string>

#include "datasets/store.h"
#include "orchestrator/frontier.h"
#include "orchestrator/stage.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

struct SchedulerSettings {
  // Worker threads.
  int64_t jobs = 1;
  // The first so many valid candidates in order; 0: all.
  int64_t tasks_max = 0;
  int64_t lease_ms = 10'000;
  // Attempts of one stage, in one invocation, whose failures are transient.
  int attempts_max = 3;
  // So many candidates in a row without a verdict, for failures of the sandbox or of the network
  // and with no success of it between, end the run: it is the machine.
  int given_up_max = 2;
  // A stage during which the process died so often is not run again: the candidate is no-verdict.
  // More than any series of honest kills.
  int deaths_max = 30;
  // Pause before the second attempt; doubled for the third.
  int64_t retry_pause_ms = 500;
  // Pause of a worker that finds nothing to claim.
  int64_t idle_pause_ms = 100;
};

// Told of what happens; called from worker threads, one call at a time.
class RunListener {
 public:
  virtual ~RunListener() = default;
  // A candidate ended (kept or rejected) in this process.
  virtual void OnDecided(const v1::Candidate& candidate, const RunProgress& progress) = 0;
};

// Claims jobs of `run_id` lowest position first, runs their stages, and commits. Any number of
// processes may do so on one run at a time.
//
// OK: every candidate that matters is decided, and the choice of tasks_max is written. CANCELLED:
// `stop` was requested; what was in hand was given back. Else a failure that another candidate
// would meet as well (a full disk, a damaged blob, no network): what was in hand was given back,
// and what had no verdict is open again.
Status RunStages(datasets::Store& store, const std::string& run_id, const Pipeline& pipeline,
                 const SchedulerSettings& settings, RunListener& listener, std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SCHEDULER_H_
