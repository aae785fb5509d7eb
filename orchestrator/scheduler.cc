#include "orchestrator/scheduler.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

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
    TASKMINT_RETURN_IF_ERROR(fatal_);
    TASKMINT_RETURN_IF_ERROR(Choose());
    if (outer.stop_requested() && !finished_) {
      return Status(Code::kCancelled, Boundary::kNone, "interrupted");
    }
    return OkStatus();
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
    Status status = RunJob(*held);
    Drop(held);
    if (status.code() == Code::kAborted && status.boundary() == Boundary::kStore) {
      Log(LogLevel::kWarning, "lease lost", {{"stage", claimed->job.stage}});
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
    Log(LogLevel::kInfo, "stage begins",
        {{"task", candidate.id()}, {"commit", candidate.commit()}, {"stage", stage->name}});
    const int64_t begin_ms = kClock.MonotonicMs();
    Result<StageOutcome> outcome = RunStage(*stage, candidate, held.stop.get_token());
    const int64_t wall_ms = kClock.MonotonicMs() - begin_ms;
    if (!outcome.ok()) return Failed(held, std::move(candidate), outcome.status(), wall_ms);
    if (outcome->wait) {
      TASKMINT_RETURN_IF_ERROR(ledger_.Release(claimed));
      Pause(settings_.idle_pause_ms, stop_.get_token());
      return OkStatus();
    }
    if (stage->uses_network) network_proven_ = true;
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
         {"wall_ms", std::to_string(wall_ms)},
         {"reason", commit.candidate.reason()}});
    if (!outcome.next.empty()) return OkStatus();
    frontier_.Touch();
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, frontier_.Look());
    std::lock_guard lock(listener_mutex_);
    listener_.OnDecided(commit.candidate, view.progress);
    return OkStatus();
  }

  Status Failed(Held& held, v1::Candidate candidate, const Status& status, int64_t wall_ms) {
    const ClaimedJob& claimed = held.claimed;
    // A child may die of the terminal's Ctrl-C a moment before this process hears of it.
    if (status.transient()) Pause(200, stop_.get_token());
    if (stop_.stop_requested() || status.code() == Code::kCancelled) {
      return ledger_.Release(claimed);
    }
    Log(LogLevel::kWarning, "stage failed",
        {{"task", candidate.id()},
         {"stage", claimed.job.stage},
         {"attempt", std::to_string(claimed.attempt)},
         {"code", std::string(CodeName(status.code()))},
         {"boundary", std::string(BoundaryName(status.boundary()))},
         {"message", status.message()}});
    if (IsFatal(status)) {
      (void)ledger_.Release(claimed).ok();
      return status;
    }
    TASKMINT_ASSIGN_OR_RETURN(const bool again, MayFailAgain(claimed, candidate));
    TASKMINT_ASSIGN_OR_RETURN(
        const datasets::FailureOutcome outcome,
        ledger_.Fail(claimed, status, again ? claimed.attempt + 1 : claimed.attempt));
    if (outcome == datasets::FailureOutcome::kWillRetry) {
      Pause(settings_.retry_pause_ms * claimed.attempt, stop_.get_token());
      return OkStatus();
    }
    // No network: every candidate would meet it, unless it worked since the last time.
    if (status.transient() && status.boundary() == Boundary::kEnvironment &&
        !network_proven_.exchange(false)) {
      (void)ledger_.Release(claimed).ok();
      return status;
    }
    candidate.set_state(v1::Candidate::STATE_REJECTED);
    candidate.set_reason("no-verdict: " + status.message());
    StageOutcome given_up;
    given_up.candidate = std::move(candidate);
    return Commit(claimed, std::move(given_up), wall_ms);
  }

  // Whether a failure of this stage, now, is not yet the last. Attempts that ended with a killed
  // process do not count: they say nothing about the candidate.
  Result<bool> MayFailAgain(const ClaimedJob& claimed, const v1::Candidate& candidate) {
    TASKMINT_ASSIGN_OR_RETURN(const auto rows, store_.Stages(candidate));
    const auto failures =
        std::count_if(rows.begin(), rows.end(), [&](const datasets::StageRow& row) {
          return row.stage == claimed.job.stage && row.state == "failed";
        });
    return failures + 1 < settings_.attempts_max;
  }

  std::list<Held>::iterator Hold(const ClaimedJob& claimed) {
    std::lock_guard lock(held_mutex_);
    held_.push_back(Held{claimed, {}});
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
  Status Choose() {
    frontier_.Touch();
    TASKMINT_ASSIGN_OR_RETURN(const FrontierView view, frontier_.Look());
    return store_.SelectUpTo(run_id_, view.kept_end);
  }

  datasets::Store& store_;
  datasets::Ledger& ledger_;
  const std::string run_id_;
  const Pipeline& pipeline_;
  const SchedulerSettings settings_;
  RunListener& listener_;
  Frontier frontier_;
  std::stop_source stop_;
  std::atomic<bool> network_proven_{false};
  std::mutex mutex_;
  Status fatal_;
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
