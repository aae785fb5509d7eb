// A run of candidates that go through two stages, "first" and "second".
#ifndef TASKMINT_TESTS_DATASETS_SAMPLE_RUN_H_
#define TASKMINT_TESTS_DATASETS_SAMPLE_RUN_H_

#include <string>
#include <vector>

#include "datasets/ledger.h"
#include "datasets/store.h"
#include "proto/base/digest.h"

namespace taskmint::datasets {

inline StageJob SampleJob(const std::string& run_id, int64_t position, const std::string& stage) {
  const std::string id = DigestBuilder().Add(run_id).Add(std::to_string(position)).Add(stage).Hex();
  return {id, run_id, position, stage};
}

inline v1::Candidate SampleCandidate(const std::string& run_id, int64_t position) {
  v1::Candidate candidate;
  candidate.set_job_id(run_id);
  candidate.set_position(position);
  candidate.set_id(Sha256Hex("candidate " + std::to_string(position)));
  candidate.set_commit(Sha256Hex("commit " + std::to_string(position)).substr(0, 40));
  candidate.set_state(v1::Candidate::STATE_PENDING);
  return candidate;
}

inline v1::Evidence SampleEvidence(const std::string& gate) {
  v1::Evidence evidence;
  evidence.set_gate(gate);
  evidence.set_outcome(v1::Evidence::OUTCOME_PASSED);
  return evidence;
}

inline Status CreateSampleRun(Store& store, const std::string& run_id, int64_t candidates) {
  v1::Job job;
  job.set_category(v1::CATEGORY_CODE);
  job.set_source("/src/" + run_id);
  std::vector<v1::Candidate> rows;
  std::vector<StageJob> jobs;
  for (int64_t i = 0; i < candidates; ++i) {
    rows.push_back(SampleCandidate(run_id, i));
    jobs.push_back(SampleJob(run_id, i, "first"));
  }
  return store.CreateRun(run_id, job, rows, jobs);
}

// What a worker commits for a claimed job: an evidence row, and after "first" the job "second".
inline StageCommit SampleCommit(const ClaimedJob& claimed) {
  StageCommit commit;
  commit.candidate = SampleCandidate(claimed.job.run_id, claimed.job.position);
  *commit.candidate.add_evidence() = SampleEvidence("first");
  if (claimed.job.stage == "first") {
    commit.next.push_back(SampleJob(claimed.job.run_id, claimed.job.position, "second"));
  } else {
    *commit.candidate.add_evidence() = SampleEvidence("second");
  }
  return commit;
}

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_SAMPLE_RUN_H_
