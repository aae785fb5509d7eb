// A store in a folder of the test's own, and candidates as a run would leave them in it.
#ifndef TASKMINT_TESTS_DATASETS_STORE_FIXTURE_H_
#define TASKMINT_TESTS_DATASETS_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "datasets/sqlite/connection.h"
#include "datasets/store.h"
#include "tests/datasets/sample_run.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {

inline std::string IdOf(const std::string& text) { return Sha256Hex(text); }

class StoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> Open(OpenMode mode = OpenMode::kCreate) {
    Result<std::unique_ptr<Store>> store = Store::Open(path_, mode, clock_);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    return std::move(store).value();
  }
  Status OpenStatus(OpenMode mode) { return Store::Open(path_, mode, clock_).status(); }
  void Run(const std::string& sql) {
    ASSERT_TRUE(
        sqlite::Connection::Open(database_, sqlite::Access::kCreate).value()->Execute(sql).ok())
        << sql;
  }
  // Claims the run's job at `position` and completes it with `candidate`.
  static void Finish(Store& store, const v1::Candidate& candidate) {
    ASSERT_TRUE(
        store.ledger().Enqueue({SampleJob(candidate.job_id(), candidate.position(), "all")}).ok());
    for (;;) {
      const auto claimed =
          store.ledger().Claim(candidate.job_id(), "w", 1'000, candidate.position() + 1).value();
      ASSERT_TRUE(claimed.has_value());
      StageCommit commit;
      commit.candidate = candidate;
      const bool own = claimed->job.position == candidate.position() && claimed->job.stage == "all";
      if (!own) {
        commit.candidate = store.GetCandidate(candidate.job_id(), claimed->job.position).value();
      }
      ASSERT_TRUE(store.ledger().Complete(*claimed, commit).ok());
      if (own) return;
    }
  }
  static v1::Candidate Kept(const std::string& run_id, int64_t position, const std::string& task) {
    v1::Candidate candidate = SampleCandidate(run_id, position);
    candidate.set_state(v1::Candidate::STATE_KEPT);
    candidate.mutable_task()->set_id(IdOf(task));
    candidate.mutable_task()->set_category(v1::CATEGORY_CODE);
    candidate.mutable_task()->set_language("python");
    candidate.mutable_task()->mutable_prompt()->set_text("Fix " + task);
    candidate.mutable_task()->mutable_licence()->set_spdx_id("MIT");
    candidate.mutable_task()->mutable_solution()->set_patch_digest(Sha256Hex("patch " + task));
    candidate.mutable_task()->mutable_verifier()->mutable_tests()->add_fail_to_pass("t::" + task);
    v1::Evidence mutation = SampleEvidence("mutation");
    (*mutation.mutable_values())["mutation_score"] = 0.75;
    *candidate.add_evidence() = mutation;
    return candidate;
  }
  static v1::Candidate Rejected(const std::string& run_id, int64_t position,
                                const std::string& reason) {
    v1::Candidate candidate = SampleCandidate(run_id, position);
    candidate.set_state(v1::Candidate::STATE_REJECTED);
    candidate.set_reason(reason);
    return candidate;
  }
  static std::vector<std::string> Ids(Store& store, const std::string& where,
                                      Store::Which which = Store::Which::kKept) {
    const Result<std::vector<ListRow>> rows = store.List(which, where);
    EXPECT_TRUE(rows.ok()) << rows.status().ToString();
    std::vector<std::string> ids;
    if (rows.ok()) {
      for (const ListRow& row : *rows) ids.push_back(row.id);
    }
    return ids;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.path() + "/a store";
  std::string database_ = path_ + "/tasks.sqlite";
  SystemClock clock_;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_STORE_FIXTURE_H_
