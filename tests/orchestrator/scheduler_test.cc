// The scheduler over a real store, with stages that judge a candidate by its commit's name.
#include "orchestrator/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/log.h"
#include "tests/orchestrator/temporary_folder.h"

namespace taskmint::orchestrator {
namespace {

class SilentListener final : public RunListener {
 public:
  void OnDecided(const v1::Candidate&, const RunProgress&) override { ++decided; }
  int decided = 0;
};

class SchedulerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened =
        datasets::Store::Open(folder_.path() + "/store", datasets::OpenMode::kCreate, clock_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    store_ = *std::move(opened);
    settings_.jobs = 4;
    settings_.lease_ms = 1000;
    settings_.idle_pause_ms = 5;
    settings_.retry_pause_ms = 1;
  }

  // A run with one candidate for every letter of `fates`: 'k' is kept, 'r' rejected.
  void MakeRun(const std::string& fates) {
    v1::Job job;
    job.set_category(v1::CATEGORY_CODE);
    job.set_source("toy");
    std::vector<v1::Candidate> candidates;
    std::vector<datasets::StageJob> jobs;
    for (size_t i = 0; i < fates.size(); ++i) {
      v1::Candidate candidate;
      candidate.set_job_id(kRun);
      candidate.set_position(static_cast<int64_t>(i));
      candidate.set_id(Sha256Hex("candidate " + std::to_string(i)));
      candidate.set_commit(std::string(1, fates[i]) + std::to_string(i));
      candidate.set_state(v1::Candidate::STATE_PENDING);
      candidate.mutable_task()->set_category(v1::CATEGORY_CODE);
      candidates.push_back(candidate);
      jobs.push_back(
          {StageJobId(kRun, candidate.position(), "first"), kRun, candidate.position(), "first"});
    }
    ASSERT_TRUE(store_->CreateRun(kRun, job, candidates, jobs).ok());
  }

  // "first" passes everything on, "second" decides by the commit's first letter.
  Pipeline Decide() {
    auto first = [this](v1::Candidate candidate, std::stop_token) -> Result<StageOutcome> {
      ++first_runs_;
      if (first_) {
        const Status status = first_(candidate);
        if (!status.ok()) return status;
      }
      StageOutcome outcome;
      outcome.candidate = std::move(candidate);
      outcome.next = "second";
      return outcome;
    };
    auto second = [this](v1::Candidate candidate, std::stop_token stop) -> Result<StageOutcome> {
      if (second_) second_(candidate, stop);
      if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kNone, "stopped");
      StageOutcome outcome;
      if (candidate.commit()[0] == 'k') {
        candidate.set_state(v1::Candidate::STATE_KEPT);
        candidate.mutable_task()->set_id(Sha256Hex(candidate.commit()));
        candidate.mutable_task()->mutable_provenance()->set_commit(candidate.commit());
      } else {
        candidate.set_state(v1::Candidate::STATE_REJECTED);
        candidate.set_reason("oracle: no fail-to-pass test");
      }
      outcome.candidate = std::move(candidate);
      return outcome;
    };
    return {Stage{"first", first, {Boundary::kEnvironment, Boundary::kSandbox}},
            Stage{"second", second, {}}};
  }

  Status Run(std::stop_token stop = {}) {
    return RunStages(*store_, kRun, Decide(), settings_, listener_, stop);
  }

  // One letter a position: k, r, s (surplus), '.' (pending).
  std::string Fates() {
    std::string letters;
    const auto states = store_->CandidateStates(kRun);
    EXPECT_TRUE(states.ok());
    for (const auto& state : *states) {
      letters += state.state == v1::Candidate::STATE_KEPT       ? 'k'
                 : state.state == v1::Candidate::STATE_REJECTED ? 'r'
                 : state.state == v1::Candidate::STATE_SURPLUS  ? 's'
                                                                : '.';
    }
    return letters;
  }

  static constexpr const char* kRun = "run-of-the-test";
  TemporaryFolder folder_;
  SystemClock clock_;
  std::unique_ptr<datasets::Store> store_;
  SchedulerSettings settings_;
  SilentListener listener_;
  std::atomic<int> first_runs_{0};
  std::function<Status(const v1::Candidate&)> first_;
  std::function<void(const v1::Candidate&, std::stop_token)> second_;
};

TEST_F(SchedulerTest, DecidesEveryCandidate) {
  MakeRun("krkrrkkrkk");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "krkrrkkrkk");
  EXPECT_EQ(listener_.decided, 10);
  EXPECT_EQ(first_runs_, 10);
}

TEST_F(SchedulerTest, AFinishedRunRunsNothingAgain) {
  MakeRun("krk");
  ASSERT_TRUE(Run().ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(first_runs_, 3);
}

TEST_F(SchedulerTest, TasksMaxKeepsTheFirstInOrderWhateverTheWorkers) {
  const std::string fates = "rkrkkrkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
  MakeRun(fates);
  settings_.tasks_max = 3;
  // The lower a position, the slower: the later ones are done first.
  second_ = [](const v1::Candidate& candidate, const std::stop_token&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(candidate.position() < 4 ? 60 : 1));
  };
  ASSERT_TRUE(Run().ok());
  std::string got = Fates();
  EXPECT_EQ(got.substr(0, 5), "rkrkk");
  EXPECT_EQ(got.find('k', 5), std::string::npos) << got;
  EXPECT_NE(got.find('.'), std::string::npos) << "speculation is bounded: " << got;
  settings_.tasks_max = 5;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates().substr(0, 8), "rkrkkrkk");
  EXPECT_EQ(Fates().find('k', 8), std::string::npos) << Fates();
  settings_.tasks_max = 0;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), fates);
}

TEST_F(SchedulerTest, TransientFailuresAreTriedThreeTimesThenNoVerdict) {
  MakeRun("kk");
  first_ = [](const v1::Candidate& candidate) {
    if (candidate.position() == 1) return OkStatus();
    return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox died");
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "rk");
  EXPECT_EQ(first_runs_, 4);
  const auto candidate = store_->GetCandidate(kRun, 0);
  ASSERT_TRUE(candidate.ok());
  EXPECT_EQ(candidate->reason(), "no-verdict: the sandbox died");
  const auto stages = store_->Stages(*candidate);
  ASSERT_TRUE(stages.ok());
  ASSERT_GE(stages->size(), 3U);
  EXPECT_EQ(stages->front().code, "UNAVAILABLE");
  EXPECT_EQ(stages->front().boundary, "sandbox");
}

TEST_F(SchedulerTest, WhatHadNoVerdictHasEvidenceALogAndAReasonOfOneLine) {
  MakeRun("kk");
  const std::string last_words = "it died\nof \xff" + std::string(1000, 'x');
  first_ = [&](const v1::Candidate& candidate) {
    if (candidate.position() == 1) return OkStatus();
    return Status(Code::kUnavailable, Boundary::kSandbox, last_words);
  };
  ASSERT_TRUE(Run().ok());
  const auto candidate = store_->GetCandidate(kRun, 0);
  ASSERT_TRUE(candidate.ok()) << candidate.status().ToString();
  EXPECT_EQ(candidate->reason().rfind("no-verdict: it died of \uFFFD", 0), 0U);
  EXPECT_EQ(candidate->reason().find('\n'), std::string::npos);
  EXPECT_LT(candidate->reason().size(), 1000U);
  ASSERT_EQ(candidate->evidence_size(), 1);
  EXPECT_EQ(candidate->evidence(0).gate(), "first");
  EXPECT_EQ(candidate->evidence(0).outcome(), v1::Evidence::OUTCOME_NO_VERDICT);
  const auto stages = store_->Stages(*candidate);
  ASSERT_TRUE(stages.ok());
  const auto log = store_->blobs().Get(stages->back().log_digest);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  EXPECT_NE(log->find(last_words), std::string::npos);
}

TEST_F(SchedulerTest, WhatHadNoVerdictIsTriedAgainWhenReopened) {
  MakeRun("kk");
  settings_.attempts_max = 1;
  first_ = [](const v1::Candidate& candidate) {
    if (candidate.position() == 1) return OkStatus();
    return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox died");
  };
  ASSERT_TRUE(Run().ok());
  ASSERT_EQ(Fates(), "rk");
  first_ = nullptr;
  ASSERT_TRUE(store_->ReopenWithoutVerdict(kRun).ok());
  EXPECT_EQ(Fates(), ".k");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "kk");
  EXPECT_EQ(store_->GetCandidate(kRun, 0)->evidence_size(), 0) << "no evidence of the old failure";
}

TEST_F(SchedulerTest, SandboxesThatFailEndTheRunAndLeaveItsCandidatesOpen) {
  MakeRun("kkkkkkkk");
  settings_.jobs = 2;
  first_ = [](const v1::Candidate&) {
    return Status(Code::kUnavailable, Boundary::kSandbox, "no more namespaces");
  };
  EXPECT_EQ(Run().message(), "no more namespaces");
  EXPECT_EQ(Fates(), "........");
  first_ = nullptr;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "kkkkkkkk");
}

TEST_F(SchedulerTest, PermanentFailuresAreNotTriedAgain) {
  MakeRun("k");
  first_ = [](const v1::Candidate&) {
    return Status(Code::kInternal, Boundary::kVerifier, "confused");
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(first_runs_, 1);
  EXPECT_EQ(Fates(), "r");
}

TEST_F(SchedulerTest, AnExceptionCostsItsCandidateAlone) {
  MakeRun("kkk");
  first_ = [](const v1::Candidate& candidate) -> Status {
    if (candidate.position() == 1) throw std::runtime_error("type must be string");
    return OkStatus();
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "krk");
  const auto fallen = store_->GetCandidate(kRun, 1);
  ASSERT_TRUE(fallen.ok());
  EXPECT_EQ(fallen->reason(), "no-verdict: first: type must be string");
}

TEST_F(SchedulerTest, AStoreFailureEndsTheRunAndLeavesTheCandidateOpen) {
  MakeRun("kkk");
  first_ = [](const v1::Candidate& candidate) {
    if (candidate.position() != 1) return OkStatus();
    return Status(Code::kResourceExhausted, Boundary::kStore, "no space left");
  };
  const Status status = Run();
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_EQ(Fates()[1], '.');
  first_ = nullptr;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "kkk");
}

TEST_F(SchedulerTest, NoNetworkEndsTheRunInsteadOfRejectingEverything) {
  MakeRun("kkkkkk");
  settings_.jobs = 1;
  first_ = [](const v1::Candidate&) {
    return Status(Code::kUnavailable, Boundary::kEnvironment, "no network");
  };
  EXPECT_EQ(Run().message(), "no network");
  EXPECT_EQ(Fates(), "......");
  first_ = nullptr;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "kkkkkk");
}

TEST_F(SchedulerTest, WithoutANetworkASingleCandidateIsAnErrorToo) {
  MakeRun("k");
  first_ = [](const v1::Candidate&) {
    return Status(Code::kUnavailable, Boundary::kEnvironment, "no network");
  };
  EXPECT_EQ(Run().message(), "no network");
  EXPECT_EQ(Fates(), ".");
}

TEST_F(SchedulerTest, TheFirstCandidatesUnreachableHostDoesNotKeepTheOthersWaiting) {
  MakeRun("kkk");
  settings_.jobs = 1;
  first_ = [](const v1::Candidate& candidate) {
    if (candidate.position() != 0) return OkStatus();
    return Status(Code::kUnavailable, Boundary::kEnvironment, "host away");
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "rkk");
}

TEST_F(SchedulerTest, FailuresOfAnEarlierInvocationDoNotCount) {
  MakeRun("kk");
  settings_.jobs = 1;
  first_ = [](const v1::Candidate&) {
    return Status(Code::kUnavailable, Boundary::kEnvironment, "no network");
  };
  ASSERT_FALSE(Run().ok());
  int hiccups = 2;
  first_ = [&](const v1::Candidate&) {
    return --hiccups < 0 ? OkStatus() : Status(Code::kUnavailable, Boundary::kSandbox, "a hiccup");
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "kk");
}

TEST_F(SchedulerTest, AStageThatKillsTheProcessAgainAndAgainIsGivenUp) {
  MakeRun("kk");
  settings_.deaths_max = 3;
  const auto die = [this] {
    const auto claimed = store_->ledger().Claim(kRun, "killed worker", 0, 1);
    ASSERT_TRUE(claimed.ok() && claimed->has_value());
  };
  for (int i = 0; i < 3; ++i) die();
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "rk");
  EXPECT_EQ(first_runs_, 1);
  EXPECT_EQ(store_->GetCandidate(kRun, 0)->reason(),
            "no-verdict: taskmint died 3 times or more while it ran the stage first");
  ASSERT_TRUE(store_->ReopenWithoutVerdict(kRun).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(first_runs_, 1) << "it is not run again";
}

TEST_F(SchedulerTest, AFewDeathsDoNotCount) {
  MakeRun("k");
  settings_.deaths_max = 3;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(store_->ledger().Claim(kRun, "killed worker", 0, 1).ok());
  }
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "k");
}

TEST_F(SchedulerTest, EveryLogLineHasTaskStageAndBoundary) {
  MakeRun("kk");
  settings_.jobs = 1;
  first_ = [](const v1::Candidate& candidate) {
    if (candidate.position() == 1) return OkStatus();
    return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox died");
  };
  SetLogLevel(LogLevel::kInfo);
  testing::internal::CaptureStderr();
  const Status status = Run();
  std::istringstream log(testing::internal::GetCapturedStderr());
  SetLogLevel(LogLevel::kWarning);
  ASSERT_TRUE(status.ok());
  std::set<std::string> events;
  for (std::string line; std::getline(log, line);) {
    const size_t event = line.find("event=\"");
    ASSERT_NE(event, std::string::npos) << line;
    events.insert(line.substr(event + 7, line.find('"', event + 7) - event - 7));
    for (const char* field : {" task=\"", " stage=\"", " boundary=\""}) {
      EXPECT_NE(line.find(field), std::string::npos) << line;
    }
    EXPECT_EQ(line.find(" task=\"\""), std::string::npos) << line;
  }
  EXPECT_EQ(events, (std::set<std::string>{"stage begins", "stage done", "stage failed"}));
}

TEST_F(SchedulerTest, OneUnreachableHostAmongManyRejectsItsCandidateAlone) {
  MakeRun("kkk");
  settings_.jobs = 1;
  first_ = [](const v1::Candidate& candidate) {
    if (candidate.position() != 1) return OkStatus();
    return Status(Code::kUnavailable, Boundary::kEnvironment, "host away");
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "krk");
}

TEST_F(SchedulerTest, StopGivesBackWhatIsInHandAndTheNextRunGoesOn) {
  MakeRun("kkkkkkkk");
  std::stop_source stop;
  second_ = [&](const v1::Candidate& candidate, const std::stop_token& token) {
    if (candidate.position() == 2) stop.request_stop();
    for (int i = 0; candidate.position() >= 2 && !token.stop_requested() && i < 1000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  EXPECT_EQ(Run(stop.get_token()).code(), Code::kCancelled);
  EXPECT_EQ(Fates()[2], '.');
  second_ = nullptr;
  const int64_t begin_ms = clock_.MonotonicMs();
  ASSERT_TRUE(Run().ok());
  EXPECT_LT(clock_.MonotonicMs() - begin_ms, settings_.lease_ms) << "waited for a lease";
  EXPECT_EQ(Fates(), "kkkkkkkk");
}

TEST_F(SchedulerTest, AnAbandonedLeaseIsTakenOver) {
  MakeRun("k");
  const auto claimed = store_->ledger().Claim(kRun, "killed worker", 200, 100);
  ASSERT_TRUE(claimed.ok() && claimed->has_value());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Fates(), "k");
}

TEST_F(SchedulerTest, TheHeartKeepsALeaseThatAStageOutlasts) {
  MakeRun("k");
  settings_.jobs = 3;
  settings_.lease_ms = 300;
  std::atomic<int> runs{0};
  second_ = [&](const v1::Candidate&, const std::stop_token&) {
    ++runs;
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(runs, 1);
}

TEST_F(SchedulerTest, TwoSchedulersShareARun) {
  MakeRun("krkrkrkrkrkrkrkrkrkr");
  auto other =
      datasets::Store::Open(folder_.path() + "/store", datasets::OpenMode::kReadWrite, clock_);
  ASSERT_TRUE(other.ok());
  const Pipeline pipeline = Decide();
  SilentListener listener;
  std::jthread second(
      [&] { EXPECT_TRUE(RunStages(**other, kRun, pipeline, settings_, listener, {}).ok()); });
  EXPECT_TRUE(RunStages(*store_, kRun, pipeline, settings_, listener_, {}).ok());
  second.join();
  EXPECT_EQ(Fates(), "krkrkrkrkrkrkrkrkrkr");
  EXPECT_EQ(first_runs_, 20);
  EXPECT_EQ(listener.decided + listener_.decided, 20);
}

}  // namespace
}  // namespace taskmint::orchestrator
