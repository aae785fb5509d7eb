// What is written into records, and what is compared with them.
#include <gtest/gtest.h>

#include <filesystem>

#include "orchestrator/bench.h"
#include "orchestrator/evidence.h"
#include "orchestrator/minting.h"
#include "proto/base/file_tree.h"
#include "tests/orchestrator/temporary_folder.h"

namespace taskmint::orchestrator {
namespace {

verifier::GateResult Gate(const std::string& name, v1::Evidence::Outcome outcome,
                          const std::string& detail = "") {
  verifier::GateResult gate;
  gate.evidence.set_gate(name);
  gate.evidence.set_outcome(outcome);
  gate.evidence.set_detail(detail);
  return gate;
}

class PassGatesTest : public testing::Test {
 protected:
  PassGatesTest() : blobs_(folder_.path() + "/blobs") {}
  Result<StageOutcome> Pass(const std::vector<verifier::GateResult>& gates,
                            const std::stop_token& stop = {}) {
    return PassGates(blobs_, {}, gates, "next", stop);
  }

  TemporaryFolder folder_;
  datasets::BlobStore blobs_;
};

TEST_F(PassGatesTest, WhatPassesGoesOnWithItsEvidence) {
  const auto outcome = Pass({Gate("oracle", v1::Evidence::OUTCOME_PASSED),
                             Gate("null", v1::Evidence::OUTCOME_UNMEASURED)});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->next, "next");
  EXPECT_EQ(outcome->candidate.evidence_size(), 2);
}

TEST_F(PassGatesTest, TheFirstRejectionEndsTheCandidateOnOneLine) {
  verifier::GateResult oracle = Gate("oracle", v1::Evidence::OUTCOME_REJECTED, "two\nlines");
  oracle.logs["before"] = "what was printed";
  const auto outcome = Pass({oracle, Gate("repeat", v1::Evidence::OUTCOME_UNSPECIFIED)});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->next, "");
  EXPECT_EQ(outcome->candidate.state(), v1::Candidate::STATE_REJECTED);
  EXPECT_EQ(outcome->candidate.reason(), "oracle: two lines");
  const auto log = blobs_.Get(outcome->log_digest);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(*log, "== before ==\nwhat was printed\n");
}

TEST_F(PassGatesTest, GatesThatWereNotReachedArePassedOver) {
  const auto outcome = Pass({Gate("oracle", v1::Evidence::OUTCOME_UNSPECIFIED),
                             Gate("repeat", v1::Evidence::OUTCOME_REJECTED, "varies"),
                             Gate("null", v1::Evidence::OUTCOME_UNSPECIFIED)});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->candidate.reason(), "flaky: varies");
  EXPECT_EQ(outcome->candidate.evidence_size(), 1);
}

TEST_F(PassGatesTest, NothingIsKeptWithoutEveryGate) {
  const auto outcome = Pass({Gate("oracle", v1::Evidence::OUTCOME_UNSPECIFIED),
                             Gate("null", v1::Evidence::OUTCOME_PASSED)});
  ASSERT_FALSE(outcome.ok());
  EXPECT_FALSE(outcome.status().transient());
}

TEST_F(PassGatesTest, NoVerdictIsTriedAgainAndNeverARejection) {
  verifier::GateResult oracle =
      Gate("oracle", v1::Evidence::OUTCOME_NO_VERDICT, "the sandbox died");
  oracle.logs["before"] = "its last words";
  const std::vector<verifier::GateResult> gates = {oracle};
  const auto outcome = Pass(gates);
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->failure.transient());
  EXPECT_EQ(outcome->failure.boundary(), Boundary::kSandbox);
  EXPECT_NE(outcome->candidate.state(), v1::Candidate::STATE_REJECTED);
  ASSERT_EQ(outcome->candidate.evidence_size(), 1);
  EXPECT_EQ(outcome->candidate.evidence(0).outcome(), v1::Evidence::OUTCOME_NO_VERDICT);
  const auto log = blobs_.Get(outcome->log_digest);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(*log, "== before ==\nits last words\n");
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_EQ(Pass(gates, stopped.get_token()).status().code(), Code::kCancelled);
}

TEST(EvidenceTest, AGateHasOneRow) {
  v1::Candidate candidate;
  v1::Evidence evidence;
  evidence.set_gate("lint");
  AddEvidence(candidate, evidence);
  evidence.set_detail("again");
  AddEvidence(candidate, evidence);
  ASSERT_EQ(candidate.evidence_size(), 1);
  EXPECT_EQ(candidate.evidence(0).detail(), "again");
}

TEST(BaseTest, AnotherBaseIsNamed) {
  v1::Task task;
  v1::Base& base = *task.mutable_environment()->mutable_repository()->mutable_base();
  base.set_package_list_digest("another");
  base.set_name("Elsewhere 1");
  const auto difference = BaseDifference(task);
  ASSERT_TRUE(difference.ok()) << difference.status().ToString();
  EXPECT_EQ(difference->rfind("base differs: minted on Elsewhere 1", 0), 0U) << *difference;
  const auto here = sandbox::ReadBaseLayer();
  ASSERT_TRUE(here.ok());
  base.set_package_list_digest(here->package_list_digest);
  EXPECT_EQ(*BaseDifference(task), "");
}

TEST(EvidenceTest, WhatAHostileRepositorySaysIsStoredAsUtf8) {
  v1::Candidate candidate;
  v1::Evidence evidence;
  evidence.set_detail("caf\xe9");
  AddEvidence(candidate, evidence);
  Reject(candidate, "build", "caf\xe9");
  v1::Candidate copy;
  EXPECT_TRUE(copy.ParseFromString(candidate.SerializeAsString()));
}

TEST(SourceTest, CredentialsAreNotShown) {
  EXPECT_EQ(ShownSource("https://ida:secret@example.org/a/b@c.git"),
            "https://example.org/a/b@c.git");
  EXPECT_EQ(ShownSource("https://example.org/a@b.git"), "https://example.org/a@b.git");
  EXPECT_EQ(ShownSource("https://a@b@example.org"), "https://example.org");
  EXPECT_EQ(ShownSource("."), std::filesystem::current_path().string());
}

TEST(RunIdTest, AnotherSeedHistoryOrBaseIsAnotherRun) {
  v1::Job job;
  job.set_source("attrs");
  job.set_head_commit("abc");
  job.set_base_digest("bookworm");
  v1::Job same = job;
  EXPECT_EQ(RunId(job), RunId(same));
  v1::Job seeded = job;
  seeded.set_seed(7);
  EXPECT_NE(RunId(job), RunId(seeded));
  v1::Job newer = job;
  newer.set_head_commit("abd");
  EXPECT_NE(RunId(job), RunId(newer));
  v1::Job upgraded = job;
  upgraded.set_base_digest("trixie");
  EXPECT_NE(RunId(job), RunId(upgraded));
}

TEST(ProposalShelfTest, HoldsSoManyEntriesAndBytesAndTheLatestWhateverItsSize) {
  const auto proposal = [](size_t bytes) {
    auto outcome = std::make_shared<environments::ProposalOutcome>();
    EXPECT_TRUE(outcome->proposal.parent_tree.Set("a", RegularFile(std::string(bytes, 'x'))).ok());
    outcome->proposal.gold_tree = outcome->proposal.parent_tree;  // shares the bytes
    return outcome;
  };
  ProposalShelf shelf(3, 100'000);
  for (const char* commit : {"a", "b", "c"}) shelf.Put(commit, proposal(25'000));
  EXPECT_NE(shelf.Find("a"), nullptr);  // is the latest now
  shelf.Put("d", proposal(25'000));
  EXPECT_EQ(shelf.Find("b"), nullptr);
  EXPECT_NE(shelf.Find("a"), nullptr);
  shelf.Put("e", proposal(60'000));
  EXPECT_EQ(shelf.Find("c"), nullptr);
  EXPECT_EQ(shelf.Find("d"), nullptr);
  EXPECT_NE(shelf.Find("a"), nullptr);
  shelf.Put("f", proposal(200'000));
  EXPECT_EQ(shelf.Find("a"), nullptr);
  EXPECT_NE(shelf.Find("f"), nullptr);
}

}  // namespace
}  // namespace taskmint::orchestrator
