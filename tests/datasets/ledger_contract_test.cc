#include "tests/datasets/ledger_contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "tests/datasets/child_process.h"
#include "tests/datasets/sample_run.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

constexpr int64_t kEverywhere = 1 << 30;
constexpr int64_t kLeaseMs = 1'000;
const Status kTransient(Code::kUnavailable, Boundary::kSandbox, "no sandbox");
const Status kPermanent(Code::kInternal, Boundary::kVerifier, "a bug");

class SqliteLedgerUnderTest final : public LedgerUnderTest {
 public:
  explicit SqliteLedgerUnderTest(const Clock& clock)
      : store_(Store::Open(folder_.path() + "/store", OpenMode::kCreate, clock).value()) {}
  Ledger& ledger() override { return store_->ledger(); }
  Store& store() override { return *store_; }
  std::string address() const override { return folder_.path() + "/store"; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

std::unique_ptr<LedgerUnderTest> MakeSqliteLedger(const Clock& clock) {
  return std::make_unique<SqliteLedgerUnderTest>(clock);
}

INSTANTIATE_TEST_SUITE_P(Sqlite, LedgerContractTest, ::testing::Values(&MakeSqliteLedger));

ClaimedJob MustClaim(Ledger& ledger, const std::string& worker = "w") {
  Result<std::optional<ClaimedJob>> claimed = ledger.Claim("run", worker, kLeaseMs, kEverywhere);
  EXPECT_TRUE(claimed.ok()) << claimed.status().ToString();
  EXPECT_TRUE(claimed->has_value());
  return claimed->value_or(ClaimedJob());
}

bool ClaimsNothing(Ledger& ledger, int64_t position_max = kEverywhere) {
  return !ledger.Claim("run", "w", kLeaseMs, position_max).value().has_value();
}

TEST_P(LedgerContractTest, HandsOutJobsByPositionBelowTheBound) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  Ledger& ledger = made->ledger();
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 3).ok());
  ASSERT_TRUE(CreateSampleRun(made->store(), "other", 1).ok());
  EXPECT_EQ(ledger.OpenJobs("run", 2).value(), 2);
  EXPECT_EQ(MustClaim(ledger).job.position, 0);
  EXPECT_EQ(MustClaim(ledger).job.position, 1);
  EXPECT_TRUE(ClaimsNothing(ledger, 2));
  const ClaimedJob last = MustClaim(ledger);
  EXPECT_EQ(last.job.position, 2);
  EXPECT_EQ(last.job.stage, "first");
  EXPECT_EQ(last.attempt, 1);
  EXPECT_EQ(last.lease_until_ms, clock.NowMs() + kLeaseMs);
  EXPECT_TRUE(ClaimsNothing(ledger));
  EXPECT_EQ(ledger.OpenJobs("run", kEverywhere).value(), 3);
}

TEST_P(LedgerContractTest, EnqueueingTwiceIsEnqueueingOnce) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  Ledger& ledger = made->ledger();
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  const ClaimedJob claimed = MustClaim(ledger);
  const StageJob again = SampleJob("run", 0, "first");
  ASSERT_TRUE(ledger.Enqueue({again, again}).ok());
  EXPECT_TRUE(ClaimsNothing(ledger));
  ASSERT_TRUE(ledger.Complete(claimed, {SampleCandidate("run", 0), "", 0, {}}).ok());
  ASSERT_TRUE(ledger.Enqueue({again}).ok());
  EXPECT_TRUE(ClaimsNothing(ledger));
}

TEST_P(LedgerContractTest, ExpiredLeaseIsClaimedAgainAndItsFirstHolderCannotCommit) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  Ledger& ledger = made->ledger();
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  const ClaimedJob first = MustClaim(ledger, "a");
  clock.AdvanceMs(kLeaseMs - 1);
  EXPECT_TRUE(ClaimsNothing(ledger));
  clock.AdvanceMs(1);
  const ClaimedJob second = MustClaim(ledger, "b");
  EXPECT_EQ(second.attempt, 2);
  EXPECT_GT(second.fencing_token, first.fencing_token);
  EXPECT_EQ(ledger.Heartbeat(first, kLeaseMs).code(), Code::kAborted);
  EXPECT_EQ(ledger.Complete(first, SampleCommit(first)).code(), Code::kAborted);
  EXPECT_EQ(ledger.Fail(first, kTransient, 3).status().code(), Code::kAborted);
  EXPECT_EQ(ledger.Release(first).code(), Code::kAborted);
  EXPECT_EQ(made->store().GetCandidate("run", 0)->evidence_size(), 0);
  EXPECT_TRUE(made->store().Stages(SampleCandidate("run", 0))->empty());
  EXPECT_TRUE(ledger.Complete(second, SampleCommit(second)).ok());
  EXPECT_EQ(ledger.Complete(second, SampleCommit(second)).code(), Code::kAborted) << "twice";
}

TEST_P(LedgerContractTest, HeartbeatKeepsTheLease) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  const ClaimedJob claimed = MustClaim(made->ledger());
  for (int i = 0; i < 5; ++i) {
    clock.AdvanceMs(kLeaseMs - 1);
    ASSERT_TRUE(made->ledger().Heartbeat(claimed, kLeaseMs).ok());
    EXPECT_TRUE(ClaimsNothing(made->ledger()));
  }
}

TEST_P(LedgerContractTest, CompleteWritesCandidateEvidenceStageAndNextJobs) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  Ledger& ledger = made->ledger();
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  const ClaimedJob first = MustClaim(ledger);
  StageCommit commit = SampleCommit(first);
  commit.log_digest = Sha256Hex("log");
  commit.wall_ms = 42;
  ASSERT_TRUE(ledger.Complete(first, commit).ok());
  EXPECT_EQ(made->store().GetCandidate("run", 0)->evidence(0).gate(), "first");
  const std::vector<StageRow> stages = made->store().Stages(SampleCandidate("run", 0)).value();
  ASSERT_EQ(stages.size(), 1U);
  EXPECT_EQ(stages[0].state, "done");
  EXPECT_EQ(stages[0].log_digest, Sha256Hex("log"));
  EXPECT_EQ(stages[0].wall_ms, 42);
  EXPECT_EQ(stages[0].started_ms, clock.NowMs());
  EXPECT_EQ(ledger.OpenJobs("run", kEverywhere).value(), 1);
  const ClaimedJob second = MustClaim(ledger);
  EXPECT_EQ(second.job.stage, "second");
  ASSERT_TRUE(ledger.Complete(second, SampleCommit(second)).ok());
  EXPECT_EQ(made->store().GetCandidate("run", 0)->evidence_size(), 2);
  EXPECT_EQ(ledger.OpenJobs("run", kEverywhere).value(), 0);
}

TEST_P(LedgerContractTest, CompleteRefusesAnotherCandidate) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 2).ok());
  const ClaimedJob claimed = MustClaim(made->ledger());
  const Status status = made->ledger().Complete(claimed, {SampleCandidate("run", 1), "", 0, {}});
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
}

TEST_P(LedgerContractTest, TransientFailureIsRetriedSoOftenAndNoMore) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  Ledger& ledger = made->ledger();
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const ClaimedJob claimed = MustClaim(ledger);
    EXPECT_EQ(claimed.attempt, attempt);
    const FailureOutcome outcome = ledger.Fail(claimed, kTransient, 3).value();
    EXPECT_EQ(outcome, attempt < 3 ? FailureOutcome::kWillRetry : FailureOutcome::kGaveUp);
    if (attempt < 3) continue;
    // It is still this worker's, to be completed as no-verdict.
    EXPECT_TRUE(ClaimsNothing(ledger));
    EXPECT_TRUE(ledger.Complete(claimed, {SampleCandidate("run", 0), "", 0, {}}).ok());
  }
  const std::vector<StageRow> stages = made->store().Stages(SampleCandidate("run", 0)).value();
  ASSERT_EQ(stages.size(), 4U);
  EXPECT_EQ(stages[0].state, "failed");
  EXPECT_EQ(stages[0].code, "UNAVAILABLE");
  EXPECT_EQ(stages[0].boundary, "sandbox");
  EXPECT_EQ(stages[0].message, "no sandbox");
  EXPECT_EQ(stages[2].attempt, 3);
  EXPECT_EQ(stages[3].state, "done");
}

TEST_P(LedgerContractTest, PermanentFailureIsNotRetried) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  const ClaimedJob claimed = MustClaim(made->ledger());
  EXPECT_EQ(made->ledger().Fail(claimed, kPermanent, 3).value(), FailureOutcome::kGaveUp);
}

TEST_P(LedgerContractTest, ReleasedJobIsOpenAtOnceWithItsAttemptUncounted) {
  FakeClock clock;
  const auto made = GetParam()(clock);
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", 1).ok());
  const ClaimedJob first = MustClaim(made->ledger());
  ASSERT_TRUE(made->ledger().Release(first).ok());
  const ClaimedJob second = MustClaim(made->ledger());
  EXPECT_EQ(second.attempt, 1);
  EXPECT_GT(second.fencing_token, first.fencing_token);
  EXPECT_EQ(made->ledger().Complete(first, SampleCommit(first)).code(), Code::kAborted);
}

TEST_P(LedgerContractTest, ManyThreadsDoEveryJobOnce) {
  const SystemClock clock;
  const auto made = GetParam()(clock);
  Ledger& ledger = made->ledger();
  constexpr int64_t kCandidates = 60;
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", kCandidates).ok());
  std::mutex mutex;
  std::map<std::string, int> done;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        while (ledger.OpenJobs("run", kEverywhere).value() > 0) {
          const auto claimed = ledger.Claim("run", std::to_string(i), 60'000, kEverywhere).value();
          if (!claimed.has_value()) continue;
          ASSERT_TRUE(ledger.Complete(*claimed, SampleCommit(*claimed)).ok());
          const std::lock_guard lock(mutex);
          ++done[claimed->job.id];
        }
      });
    }
  }
  EXPECT_EQ(done.size(), 2U * kCandidates);
  for (const auto& [id, times] : done) EXPECT_EQ(times, 1) << id;
}

void ExpectEverythingDoneOnce(Store& store, int64_t candidates) {
  for (int64_t i = 0; i < candidates; ++i) {
    EXPECT_EQ(store.GetCandidate("run", i)->evidence_size(), 2) << i;
    const std::vector<StageRow> stages = store.Stages(SampleCandidate("run", i)).value();
    ASSERT_EQ(stages.size(), 2U) << i;
    EXPECT_EQ(stages[0].stage, "first");
    EXPECT_EQ(stages[1].stage, "second");
  }
}

TEST_P(LedgerContractTest, ManyProcessesDoEveryJobOnce) {
  const SystemClock clock;
  const TemporaryFolder outputs;
  const auto made = GetParam()(clock);
  constexpr int64_t kCandidates = 60;
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", kCandidates).ok());
  std::vector<std::unique_ptr<ChildProcess>> workers;
  for (int i = 0; i < 4; ++i) {
    const std::string name = std::to_string(i);
    workers.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{TASKMINT_LEDGER_WORKER, made->address(), "run", name},
        outputs.path() + "/" + name));
  }
  std::vector<std::string> lines;
  for (const auto& worker : workers) {
    EXPECT_EQ(worker->Wait(), 0);
    for (std::string& line : worker->Lines()) lines.push_back(std::move(line));
  }
  EXPECT_EQ(lines.size(), 2U * kCandidates);
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(std::unique(lines.begin(), lines.end()), lines.end()) << "a job was done twice";
  ExpectEverythingDoneOnce(made->store(), kCandidates);
}

// What must hold at every moment, also after kill -9 inside Complete.
void ExpectWholeCommits(LedgerUnderTest& made, int64_t candidates) {
  int64_t open = 0;
  for (int64_t i = 0; i < candidates; ++i) {
    const size_t stages = made.store().Stages(SampleCandidate("run", i))->size();
    EXPECT_EQ(made.store().GetCandidate("run", i)->evidence_size(), static_cast<int>(stages)) << i;
    open += stages == 2 ? 0 : 1;
  }
  EXPECT_EQ(made.ledger().OpenJobs("run", kEverywhere).value(), open);
}

TEST_P(LedgerContractTest, KilledWorkersLoseNothing) {
  const SystemClock clock;
  const TemporaryFolder outputs;
  const auto made = GetParam()(clock);
  constexpr int64_t kCandidates = 200;
  ASSERT_TRUE(CreateSampleRun(made->store(), "run", kCandidates).ok());
  size_t reported = 0;
  for (int i = 0; i < 20; ++i) {
    ChildProcess worker({TASKMINT_LEDGER_WORKER, made->address(), "run", "w"},
                        outputs.path() + "/out");
    std::this_thread::sleep_for(std::chrono::milliseconds(15 + 7 * (i % 5)));
    worker.Kill();
    worker.Wait();
    reported += worker.Lines().size();
    ExpectWholeCommits(*made, kCandidates);
  }
  ChildProcess last({TASKMINT_LEDGER_WORKER, made->address(), "run", "w"}, outputs.path() + "/out");
  EXPECT_EQ(last.Wait(), 0);
  reported += last.Lines().size();
  EXPECT_LE(reported, 2U * kCandidates);
  ExpectEverythingDoneOnce(made->store(), kCandidates);
  EXPECT_TRUE(made->store().Check()->damaged.empty());
}

}  // namespace
}  // namespace taskmint::datasets
