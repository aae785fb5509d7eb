// What a stage is to the scheduler: a name and a function from a candidate to the same candidate,
// further on.
#ifndef TASKMINT_ORCHESTRATOR_STAGE_H_
#define TASKMINT_ORCHESTRATOR_STAGE_H_

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::orchestrator {

// What a stage made of a candidate.
struct StageOutcome {
  v1::Candidate candidate;
  // The stage that follows; empty when the candidate's state is final.
  std::string next;
  // Blob digest of the log to keep with the stage; empty when there is none.
  std::string log_digest;
  // Not OK: the stage could not judge, and `candidate` and `log_digest` hold what is known of why.
  Status failure;
  // True: something else must end first; the stage is run again later, nothing is written.
  bool wait = false;
};

// Requirements on a stage:
// 1. Idempotent: run twice on equal candidates it leaves equal rows. It may put blobs (content-
//    addressed) and environments (keyed); all else it returns.
// 2. A judgement about the candidate is an outcome (state REJECTED with a reason). A Status is a
//    failure to judge: transient ones are tried again, then the candidate is `no-verdict`, until
//    the run is started again.
// 3. It returns CANCELLED soon after the token asks.
// 4. Called from several threads at once for different candidates.
struct Stage {
  std::string name;
  std::function<Result<StageOutcome>(v1::Candidate candidate, std::stop_token stop)> run;
  // What its success shows to work: kSandbox, kEnvironment (the network).
  std::vector<Boundary> proves = {};
};

// The first stage comes first.
using Pipeline = std::vector<Stage>;

// Id of a stage job: SHA-256 of (run id, position, stage).
std::string StageJobId(const std::string& run_id, int64_t position, const std::string& stage);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_STAGE_H_
