// Writing a gate's finding into a candidate.
#ifndef TASKMINT_ORCHESTRATOR_EVIDENCE_H_
#define TASKMINT_ORCHESTRATOR_EVIDENCE_H_

#include <stop_token>
#include <string>
#include <vector>

#include "datasets/blob_store.h"
#include "orchestrator/stage.h"
#include "proto/base/status.h"
#include "proto/evidence.pb.h"
#include "proto/job.pb.h"
#include "verifier/gate.h"

namespace taskmint::orchestrator {

// Ends a candidate: state REJECTED, reason "word: detail" on one line.
void Reject(v1::Candidate& candidate, const std::string& word, const std::string& detail);

// Adds an evidence row, in place of an earlier one of the same gate.
void AddEvidence(v1::Candidate& candidate, v1::Evidence evidence);

// Stores the attempts' logs (one blob a gate) and adds each gate's evidence, in order, up to the
// first that rejects, which ends the candidate; otherwise `next` follows. Gates without an outcome
// were not reached and are passed over. CANCELLED when a gate had no verdict because of `stop`;
// with the failure UNAVAILABLE (sandbox), to be tried again, when it had none of its own.
Result<StageOutcome> PassGates(datasets::BlobStore& blobs, v1::Candidate candidate,
                               const std::vector<verifier::GateResult>& gates,
                               const std::string& next, const std::stop_token& stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EVIDENCE_H_
