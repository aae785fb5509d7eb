#include "orchestrator/scheduler.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "orchestrator/evidence.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/log.h"

namespace taskmint::orchestrator {
namespace {

using datasets::ClaimedJob;

const SystemClock kClock;

// A job in hand. Its source stops the stage when the run stops or the lease is lost.
struct Held {
  ClaimedJob claimed;
  std::stop_source stop;
  std::string task;  // for the log; of the worker that holds it
};

// Sleeps; false when `stop` was requested before or meanwhile.
bool Pause(int64_t ms, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any waiting;
  std::unique_lock lock(mutex);
  waiting.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
  return !stop.stop_requested();
}

std::string ProcessName() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return std::string(host) + "/" + std::to_string(getpid()) + "/" + std::to_string(kClock.NowMs());
}

// True for failures that every other candidate would meet too.
bool IsFatal(const Status& status) {
  return (status.boundary() == Boundary::kStore && status.code() != Code::kAborted) ||
         status.boundary() == Boundary::kConfig;
}

// No exception crosses a room's header: one that does is a fault of ours, and this candidate's
// alone.
Result<StageOutcome> RunStage(const Stage& stage, const v1::Candidate& candidate,
                              const std::stop_token& stop) {
  try {
    return stage.run(candidate, stop);
  } catch (const std::exception& error) {
    return Status(Code::kInternal, Boundary::kNone, stage.name + ": " + error.what());
  }
}

// True for failures that may be the machine's as well as the candidate's.
bool MayBeTheMachine(const Status& status) {
  return status.boundary() == Boundary::kSandbox ||
         (status.boundary() == Boundary::kEnvironment && status.transient());
}

class Scheduler {
 public:
  Scheduler(datasets::Store& store, const std::string& run_id, const Pipeline& pipeline,
            const SchedulerSettings& settings, RunListener& listener)
      : store_(store),
        ledger_(store.ledger()),
        run_id_(run_id),
        pipeline_(pipeline),
        settings_(settings),
        listener_(listener),
        frontier_(store, run_id, settings.tasks_max, 4 * settings.jobs) {}

  Status Run(std::stop_token outer) {
    const std::stop_callback forward(outer, [this] { stop_.request_stop(); });
    {
      std::jthread heart([this](std::stop_token end) { Beat(end); });
      std::vector<std::jthread> workers;
      const std::string process = ProcessName();
      for (int64_t i = 0; i < settings_.jobs; ++i) {
        workers.emplace_back([this, worker = process + "/" + std::to_string(i)] { Work(worker); });
      }
      workers.clear();  // joins; the heart beats until the last one is done
    }
    std::lock_guard lock(mutex_);
    if (!fatal_.ok()) {
      (void)store_.ReopenWithoutVerdict(run_id_).ok();  // else the next invocation does
      return fatal_;
    }
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, Choose());
    if (outer.stop_requested() && !finished_) {
      return Status(Code::kCancelled, Boundary::kNone, "interrupted");
    }
    // All that was tried failed, and there is nothing to show from before.
    const bool nothing_worked = proven_.count(gave_up_.boundary()) == 0;
    if (gave_up_.ok() || view.progress.kept > 0 || !nothing_worked) return OkStatus();
    TASKMINT_RETURN_IF_ERROR(store_.ReopenWithoutVerdict(run_id_));
    return gave_up_;
  }

 private:
  enum class Turn { kWorked, kIdle, kDone };

  void Work(const std::string& worker) {
    while (!stop_.stop_requested()) {
      Result<Turn> turn = TakeTurn(worker);
      if (!turn.ok()) return End(turn.status());
      if (*turn == Turn::kDone) {
        std::lock_guard lock(mutex_);
        finished_ = true;
        return;
      }
      if (*turn == Turn::kIdle) Pause(settings_.idle_pause_ms, stop_.get_token());
    }
  }

  // Ends the run for every worker.
  void End(const Status& status) {
    {
      std::lock_guard lock(mutex_);
      if (fatal_.ok() && status.code() != Code::kCancelled) fatal_ = status;
    }
    stop_.request_stop();
  }

  Result<Turn> TakeTurn(const std::string& worker) {
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, frontier_.Look());
    if (view.goal_reached) {
      stop_.request_stop();  // what others hold can only become surplus
      return Turn::kDone;
    }
    TASKMINT_ASSIGN_OR_RETURN(
        const std::optional<ClaimedJob> claimed,
        ledger_.Claim(run_id_, worker, settings_.lease_ms, view.position_max));
    if (!claimed) return Idle(view);
    auto held = Hold(*claimed);
    const Status status = RunJob(*held);
    const std::string task = held->task;
    Drop(held);
    if (status.code() == Code::kAborted && status.boundary() == Boundary::kStore) {
      Log(LogLevel::kWarning, "lease lost",
          {{"task", task},
           {"stage", claimed->job.stage},
           {"boundary", std::string(BoundaryName(status.boundary()))}});
      return Turn::kWorked;
    }
    TASKMINT_RETURN_IF_ERROR(status);
    return Turn::kWorked;
  }

  // Nothing can be claimed now: because all is done, or because others hold what is left.
  Result<Turn> Idle(const FrontierView& before) {
    TASKMINT_ASSIGN_OR_RETURN(const int64_t open, ledger_.OpenJobs(run_id_, before.position_max));
    if (open > 0) return Turn::kIdle;
    frontier_.Touch();
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, frontier_.Look());
    if (view.progress.decided == view.progress.candidates) return Turn::kDone;
    if (view.progress.decided == before.progress.decided && !view.goal_reached &&
        view.position_max == before.position_max) {
      return Status(Code::kDataLoss, Boundary::kStore,
                    "the run has undecided candidates but no jobs for them; see `taskmint store "
                    "check`, or begin again in another store");
    }
    return Turn::kIdle;
  }

  // Runs one claimed stage and writes what came of it. A Status ends the run, but for ABORTED.
  Status RunJob(Held& held) {
    const ClaimedJob& claimed = held.claimed;
    const auto stage = std::find_if(pipeline_.begin(), pipeline_.end(),
                                    [&](const Stage& s) { return s.name == claimed.job.stage; });
    if (stage == pipeline_.end()) {
      return Status(Code::kFailedPrecondition, Boundary::kStore,
                    "the store's run has a stage '" + claimed.job.stage +
                        "' that this version does not know; use the version that began it");
    }
    TASKMINT_ASSIGN_OR_RETURN(v1::Candidate candidate,
                              store_.GetCandidate(run_id_, claimed.job.position));
    held.task = candidate.id();
    Log(LogLevel::kInfo, "stage begins",
        {{"task", candidate.id()},
         {"stage", stage->name},
         {"boundary", std::string(BoundaryName(Boundary::kNone))},
         {"commit", candidate.commit()}});
    TASKMINT_ASSIGN_OR_RETURN(const bool deadly, IsDeadly(claimed, candidate));
    if (deadly) {
      return GiveUp(claimed, {std::move(candidate), "", "", OkStatus(), false},
                    Status(Code::kInternal, Boundary::kNone,
                           "taskmint died " + std::to_string(settings_.deaths_max) +
                               " times or more while it ran the stage " + stage->name),
                    0);
    }
    const int64_t begin_ms = kClock.MonotonicMs();
    Result<StageOutcome> outcome = RunStage(*stage, candidate, held.stop.get_token());
    const int64_t wall_ms = kClock.MonotonicMs() - begin_ms;
    if (!outcome.ok()) {
      const Status failure = outcome.status();
      return Failed(held, {std::move(candidate), "", "", failure, false}, wall_ms);
    }
    if (!outcome->failure.ok()) return Failed(held, std::move(*outcome), wall_ms);
    if (outcome->wait) {
      TASKMINT_RETURN_IF_ERROR(ledger_.Release(claimed));
      Pause(settings_.idle_pause_ms, stop_.get_token());
      return OkStatus();
    }
    Proven(stage->proves);
    return Commit(claimed, std::move(*outcome), wall_ms);
  }

  Status Commit(const ClaimedJob& claimed, StageOutcome outcome, int64_t wall_ms) {
    datasets::StageCommit commit;
    commit.candidate = std::move(outcome.candidate);
    commit.log_digest = std::move(outcome.log_digest);
    commit.wall_ms = wall_ms;
    const int64_t position = claimed.job.position;
    if (!outcome.next.empty()) {
      commit.next.push_back(
          {StageJobId(run_id_, position, outcome.next), run_id_, position, outcome.next});
    }
    TASKMINT_RETURN_IF_ERROR(ledger_.Complete(claimed, commit));
    Log(LogLevel::kInfo, "stage done",
        {{"task", commit.candidate.id()},
         {"stage", claimed.job.stage},
         {"boundary", std::string(BoundaryName(Boundary::kNone))},
         {"wall_ms", std::to_string(wall_ms)},
         {"reason", commit.candidate.reason()}});
    if (!outcome.next.empty()) return OkStatus();
    frontier_.Touch();
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, frontier_.Look());
    std::lock_guard lock(listener_mutex_);
    listener_.OnDecided(commit.candidate, view.progress);
    return OkStatus();
  }

  // `outcome.failure` is why the stage could not judge.
  Status Failed(Held& held, StageOutcome outcome, int64_t wall_ms) {
    const ClaimedJob& claimed = held.claimed;
    Status status = outcome.failure;
    // A child may die of the terminal's Ctrl-C a moment before this process hears of it.
    if (status.transient()) Pause(200, stop_.get_token());
    if (stop_.stop_requested() || status.code() == Code::kCancelled) {
      return ledger_.Release(claimed);
    }
    Log(LogLevel::kWarning, "stage failed",
        {{"task", outcome.candidate.id()},
         {"stage", claimed.job.stage},
         {"boundary", std::string(BoundaryName(status.boundary()))},
         {"attempt", std::to_string(claimed.attempt)},
         {"code", std::string(CodeName(status.code()))},
         {"message", status.message()}});
    if (IsFatal(status)) {
      (void)ledger_.Release(claimed).ok();
      return status;
    }
    TASKMINT_ASSIGN_OR_RETURN(const bool again, MayFailAgain(claimed, outcome.candidate));
    TASKMINT_ASSIGN_OR_RETURN(
        const datasets::FailureOutcome next,
        ledger_.Fail(claimed, status, again ? claimed.attempt + 1 : claimed.attempt));
    if (next == datasets::FailureOutcome::kWillRetry) {
      Pause(settings_.retry_pause_ms * claimed.attempt, stop_.get_token());
      return OkStatus();
    }
    if (MayBeTheMachine(status) && IsTheMachine(status)) {
      (void)ledger_.Release(claimed).ok();
      return status;
    }
    return GiveUp(claimed, std::move(outcome), status, wall_ms);
  }

  // Ends a candidate as no-verdict, with an evidence row and a log whatever failed.
  Status GiveUp(const ClaimedJob& claimed, StageOutcome outcome, const Status& status,
                int64_t wall_ms) {
    if (outcome.log_digest.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(outcome.log_digest, store_.blobs().Put(status.ToString() + "\n"));
      v1::Evidence evidence;
      evidence.set_gate(claimed.job.stage);
      evidence.set_outcome(v1::Evidence::OUTCOME_NO_VERDICT);
      evidence.set_detail(status.message());
      evidence.set_log_digest(outcome.log_digest);
      AddEvidence(outcome.candidate, std::move(evidence));
    }
    Reject(outcome.candidate, "no-verdict", status.message());
    outcome.next.clear();
    return Commit(claimed, std::move(outcome), wall_ms);
  }

  // Whether a failure of this stage, now, is not yet the last. Attempts that ended with a killed
  // process do not count: they say nothing about the candidate. Nor do those of another invocation:
  // what ailed the machine then may be mended.
  Result<bool> MayFailAgain(const ClaimedJob& claimed, const v1::Candidate& candidate) {
    TASKMINT_ASSIGN_OR_RETURN(const int64_t failures, Failures(claimed, candidate, begin_ms_));
    return failures + 1 < settings_.attempts_max;
  }

  // Whether this stage of this candidate killed the process too often.
  Result<bool> IsDeadly(const ClaimedJob& claimed, const v1::Candidate& candidate) {
    if (claimed.attempt <= settings_.deaths_max) return false;
    TASKMINT_ASSIGN_OR_RETURN(const int64_t failures, Failures(claimed, candidate, 0));
    return claimed.attempt - 1 - failures >= settings_.deaths_max;
  }

  // Recorded failures of the claimed stage that began at `since_ms` or later.
  Result<int64_t> Failures(const ClaimedJob& claimed, const v1::Candidate& candidate,
                           int64_t since_ms) {
    TASKMINT_ASSIGN_OR_RETURN(const auto rows, store_.Stages(candidate));
    return std::count_if(rows.begin(), rows.end(), [&](const datasets::StageRow& row) {
      return row.stage == claimed.job.stage && row.state == "failed" && row.started_ms >= since_ms;
    });
  }

  // Notes a candidate that is given up; true when too many were in a row.
  bool IsTheMachine(const Status& status) {
    std::lock_guard lock(mutex_);
    gave_up_ = status;
    return ++given_up_[status.boundary()] >= settings_.given_up_max;
  }

  void Proven(const std::vector<Boundary>& boundaries) {
    std::lock_guard lock(mutex_);
    for (const Boundary boundary : boundaries) given_up_[boundary] = 0;
    proven_.insert(boundaries.begin(), boundaries.end());
  }

  std::list<Held>::iterator Hold(const ClaimedJob& claimed) {
    std::lock_guard lock(held_mutex_);
    held_.push_back(Held{claimed, {}, ""});
    if (stop_.stop_requested()) held_.back().stop.request_stop();
    return std::prev(held_.end());
  }

  void Drop(std::list<Held>::iterator held) {
    std::lock_guard lock(held_mutex_);
    held_.erase(held);
  }

  // Extends the leases in hand, and passes a stop on to the stages.
  void Beat(const std::stop_token& end) {
    const std::stop_callback pass_on(stop_.get_token(), [this] {
      std::lock_guard lock(held_mutex_);
      for (Held& held : held_) held.stop.request_stop();
    });
    while (Pause(settings_.lease_ms / 4, end)) {
      std::vector<ClaimedJob> claims;
      {
        std::lock_guard lock(held_mutex_);
        for (const Held& held : held_) claims.push_back(held.claimed);
      }
      for (const ClaimedJob& claimed : claims) {
        const Status status = ledger_.Heartbeat(claimed, settings_.lease_ms);
        if (status.code() == Code::kAborted) Lost(claimed);
      }
    }
  }

  void Lost(const ClaimedJob& claimed) {
    std::lock_guard lock(held_mutex_);
    for (Held& held : held_) {
      if (held.claimed.job.id == claimed.job.id &&
          held.claimed.fencing_token == claimed.fencing_token) {
        held.stop.request_stop();
      }
    }
  }

  // Writes the choice of tasks_max.
  Result<FrontierView> Choose() {
    frontier_.Touch();
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, frontier_.Look());
    TASKMINT_RETURN_IF_ERROR(store_.SelectUpTo(run_id_, view.kept_end));
    return view;
  }

  datasets::Store& store_;
  datasets::Ledger& ledger_;
  const std::string run_id_;
  const Pipeline& pipeline_;
  const SchedulerSettings settings_;
  RunListener& listener_;
  Frontier frontier_;
  std::stop_source stop_;
  const int64_t begin_ms_ = kClock.NowMs();
  std::mutex mutex_;
  Status fatal_;
  std::map<Boundary, int> given_up_;  // in a row
  Status gave_up_;                    // the latest of them
  std::set<Boundary> proven_;
  bool finished_ = false;
  std::mutex listener_mutex_;
  std::mutex held_mutex_;
  std::list<Held> held_;
};

}  // namespace

std::string StageJobId(const std::string& run_id, int64_t position, const std::string& stage) {
  return DigestBuilder().Add(run_id).Add(std::to_string(position)).Add(stage).Hex();
}

Status RunStages(datasets::Store& store, const std::string& run_id, const Pipeline& pipeline,
                 const SchedulerSettings& settings, RunListener& listener, std::stop_token stop) {
  return Scheduler(store, run_id, pipeline, settings, listener).Run(std::move(stop));
}

}  // namespace taskmint::orchestrator
