// The stages of a code task, in the order in which a candidate passes them. One file each.
#ifndef TASKMINT_ORCHESTRATOR_STAGES_STAGES_H_
#define TASKMINT_ORCHESTRATOR_STAGES_STAGES_H_

#include <stop_token>

#include "orchestrator/run_context.h"
#include "orchestrator/stage.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::orchestrator {

// Each takes the candidate as the stage before it left it; see Stage for the requirements.

// Reads the commit, writes the prompt, lints. Fills language, prompt, solution, provenance,
// licence.
Result<StageOutcome> RunPropose(RunContext& context, v1::Candidate candidate, std::stop_token stop);
// Finds or builds (twice, compared) the environment. Fills environment, but for its tree.
Result<StageOutcome> RunBuild(RunContext& context, v1::Candidate candidate, std::stop_token stop);
// Runs the tests before and after the fix: gates oracle, null and repeat. Fills verifier, but
// for its overlay.
Result<StageOutcome> RunOracle(RunContext& context, v1::Candidate candidate, std::stop_token stop);
// Attempts to pass without solving all score 0.
Result<StageOutcome> RunCheaters(RunContext& context, v1::Candidate candidate,
                                 std::stop_token stop);
// Enough damaged solutions score 0.
Result<StageOutcome> RunMutation(RunContext& context, v1::Candidate candidate,
                                 std::stop_token stop);
// The answer is out of the agent's sight.
Result<StageOutcome> RunLeak(RunContext& context, v1::Candidate candidate, std::stop_token stop);
// Rejects duplicates, but keeps what another run made of the same commit; stores the trees (what is
// rejected leaves none behind), adds the tools, gives the task its id.
Result<StageOutcome> RunSelect(RunContext& context, v1::Candidate candidate, std::stop_token stop);

// All of the above for one run; `context` must outlive it.
Pipeline CodePipeline(RunContext& context);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_STAGES_STAGES_H_
