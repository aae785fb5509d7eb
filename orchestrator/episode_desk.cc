#include "orchestrator/episode_desk.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "orchestrator/call_turns.h"
#include "orchestrator/episode.h"
#include "orchestrator/task_shelf.h"
#include "proto/base/log.h"
#include "proto/base/random.h"
#include "sandbox/spare_sandboxes.h"

namespace taskmint::orchestrator {
namespace {

constexpr auto kReapingPause = std::chrono::milliseconds(200);
constexpr auto kTurnWait = std::chrono::seconds(2);
constexpr int64_t kWaitersPerCall = 16;
constexpr int64_t kWaitersMax = 256;
constexpr int64_t kToolWaitersMax = 64;
// Ids of which it is remembered why they are gone.
constexpr size_t kGoneMax = 4'096;
// What a sandbox holds open here, and what everything else does.
constexpr int64_t kFilesPerEpisode = 5;
constexpr int64_t kFilesBeside = 512;
// Closing waits for the end of what is inside: side by side.
constexpr size_t kClosers = 4;
constexpr size_t kLastClosersMax = 8;

Status AtDesk(Code code, const std::string& message) { return {code, Boundary::kAgent, message}; }

std::string NewEpisodeId() {
  std::array<char, 33> text;
  std::snprintf(text.data(), text.size(), "%016llx%016llx",
                static_cast<unsigned long long>(SystemRandom()),
                static_cast<unsigned long long>(SystemRandom()));
  return text.data();
}

// Raises the soft limit and returns how many episodes it allows.
int64_t EpisodesByOpenFiles() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 1;
  if (files.rlim_cur < files.rlim_max) {
    const rlim_t before = std::exchange(files.rlim_cur, files.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0) files.rlim_cur = before;
  }
  if (files.rlim_cur == RLIM_INFINITY) return INT64_MAX;
  const auto allowed = static_cast<int64_t>(std::min<rlim_t>(files.rlim_cur, INT64_MAX));
  return std::max<int64_t>(1, (allowed - kFilesBeside) / kFilesPerEpisode);
}

EpisodeLimits OnThisMachine(EpisodeLimits limits) {
  limits.episodes_max = std::min(limits.episodes_max, EpisodesByOpenFiles());
  if (limits.calls_max <= 0) {
    limits.calls_max = 2 * std::max<int64_t>(1, std::thread::hardware_concurrency());
  }
  return limits;
}

}  // namespace

struct EpisodeDesk::Impl {
  // Stops when either of two does.
  class EitherStop {
   public:
    EitherStop(std::stop_token first, std::stop_token second)
        : first_(std::move(first), [this] { source_.request_stop(); }),
          second_(std::move(second), [this] { source_.request_stop(); }) {}
    std::stop_token token() const { return source_.get_token(); }

   private:
    std::stop_source source_;
    std::stop_callback<std::function<void()>> first_;
    std::stop_callback<std::function<void()>> second_;
  };

  // An open episode. Under the desk's mutex, but for what `episode` points to, which whoever made
  // it busy uses.
  struct Seat {
    std::string id;
    std::unique_ptr<Episode> episode;
    std::stop_source stop;
    bool busy = false;
    bool ended = false;  // off the desk, and its world closed
    int64_t opened_ms = 0;
    int64_t used_ms = 0;
    int64_t idle_ms_max = 0;
  };
  using SeatPointer = std::shared_ptr<Seat>;

  Impl(datasets::Store& store, sandbox::SandboxHost& sandboxes, const Clock& clock,
       EpisodeLimits limits)
      : store_(store),
        sandboxes_(sandboxes),
        clock_(clock),
        limits_(OnThisMachine(limits)),
        shelf_(store, sandboxes_),
        turns_("calls", limits_.calls_max,
               std::min(kWaitersMax, kWaitersPerCall * limits_.calls_max), kTurnWait),
        tool_turns_("tool calls", limits_.tool_calls_max, kToolWaitersMax, kTurnWait) {
    for (size_t i = 0; i < kClosers; ++i) {
      closers_.emplace_back([this](const std::stop_token& stop) { CloseExpired(stop); });
    }
    reaper_ = std::jthread([this](const std::stop_token& stop) { Reap(stop); });
  }

  ~Impl() {
    reaper_.request_stop();
    reaper_.join();
    for (std::jthread& closer : closers_) closer.request_stop();
    closers_.clear();
    shut_.request_stop();
    std::vector<SeatPointer> seats;
    {
      std::unique_lock lock(mutex_);
      seats.assign(expired_.begin(), expired_.end());
      for (auto& [id, seat] : seats_) seats.push_back(seat);
      seats_.clear();
    }
    for (const SeatPointer& seat : seats) seat->stop.request_stop();
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return uses_ == 0; });
    }
    turns_.AwaitNone();
    tool_turns_.AwaitNone();
    std::vector<std::jthread> closers;
    for (size_t first = 0; first < std::min(kLastClosersMax, seats.size()); ++first) {
      closers.emplace_back([&seats, first] {
        for (size_t i = first; i < seats.size(); i += kLastClosersMax) seats[i]->episode.reset();
      });
    }
  }

  // One use of an episode by one thread; ends, and renews the lease, when destroyed.
  class Use {
   public:
    Use(Impl* desk, SeatPointer seat) : desk_(desk), seat_(std::move(seat)) {}
    Use(Use&&) noexcept = default;
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (seat_ == nullptr) return;
      const std::lock_guard lock(desk_->mutex_);
      seat_->busy = false;
      seat_->used_ms = desk_->clock_.MonotonicMs();
      --desk_->uses_;
      desk_->changed_.notify_all();
      if (seat_->stop.stop_requested()) desk_->closable_.notify_one();
    }
    Episode& episode() { return *seat_->episode; }
    std::stop_token closed() const { return seat_->stop.get_token(); }

   private:
    Impl* desk_;
    SeatPointer seat_;
  };

  Result<Use> Begin(const std::string& episode_id) {
    TASKMINT_ASSIGN_OR_RETURN(SeatPointer seat, Find(episode_id));
    const std::lock_guard lock(mutex_);
    if (seat->stop.stop_requested()) return AtDesk(Code::kNotFound, "the episode was closed");
    if (seat->busy) {
      return AtDesk(Code::kAborted, "another call of this episode runs: wait for its end");
    }
    seat->busy = true;
    ++uses_;
    return Use(this, std::move(seat));
  }

  // An open episode whose lease has not run out.
  Result<SeatPointer> Find(const std::string& episode_id) {
    SeatPointer expired;
    std::string why;
    {
      const std::lock_guard lock(mutex_);
      const auto found = seats_.find(episode_id);
      if (found == seats_.end()) {
        const auto gone = gone_.find(episode_id);
        return AtDesk(Code::kNotFound, gone == gone_.end()
                                           ? "no such episode is open: open one"
                                           : "the episode is gone: " + gone->second);
      }
      why = WhyExpired(*found->second);
      if (why.empty()) return found->second;
      expired = found->second;
      Forget(episode_id, why);
    }
    EndSoon({std::move(expired)});
    return AtDesk(Code::kNotFound, "the episode is gone: " + why);
  }

  // Empty while its lease holds.
  std::string WhyExpired(const Seat& seat) const {
    const int64_t now_ms = clock_.MonotonicMs();
    if (now_ms - seat.opened_ms >= limits_.lifetime_ms_max) {
      return "it was open for " + std::to_string(limits_.lifetime_ms_max / 1000) +
             " s, as long as any may be";
    }
    if (!seat.busy && now_ms - seat.used_ms >= seat.idle_ms_max) {
      return "it expired, without a call for " + std::to_string(seat.idle_ms_max / 1000) + " s";
    }
    return "";
  }

  // Takes it off the desk; it counts until it is ended. Under the mutex.
  void Forget(const std::string& episode_id, const std::string& why) {
    closing_ += static_cast<int64_t>(seats_.erase(episode_id));
    if (!gone_.emplace(episode_id, why).second) return;
    gone_order_.push_back(episode_id);
    if (gone_order_.size() <= kGoneMax) return;
    gone_.erase(gone_order_.front());
    gone_order_.pop_front();
  }

  // Stops what runs in an episode that is off the desk, and closes its world.
  void End(Seat& seat) {
    seat.stop.request_stop();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !seat.busy; });
    std::unique_ptr<Episode> episode = std::move(seat.episode);
    if (episode == nullptr) {  // another thread was faster
      changed_.wait(lock, [&] { return seat.ended; });
      return;
    }
    lock.unlock();
    episode.reset();
    lock.lock();
    seat.ended = true;
    --closing_;
    changed_.notify_all();
  }

  // Has episodes that are off the desk stopped at once, and ended by the closers.
  void EndSoon(const std::vector<SeatPointer>& seats) {
    for (const SeatPointer& seat : seats) seat->stop.request_stop();
    const std::lock_guard lock(mutex_);
    expired_.insert(expired_.end(), seats.begin(), seats.end());
    closable_.notify_all();
  }

  // Ends expired episodes in which nothing runs any more: none waits for another one's call.
  void CloseExpired(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    auto next = expired_.end();
    const auto closable = [&] {
      next = std::find_if(expired_.begin(), expired_.end(),
                          [](const SeatPointer& seat) { return !seat->busy; });
      return next != expired_.end();
    };
    while (closable_.wait(lock, stop, closable) && !stop.stop_requested()) {
      const SeatPointer seat = *next;
      expired_.erase(next);
      lock.unlock();
      End(*seat);
      lock.lock();
    }
  }

  void Reap(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<SeatPointer> expired;
      {
        std::unique_lock lock(mutex_);
        reaping_.wait_for(lock, stop, kReapingPause, [] { return false; });
        for (const auto& [id, seat] : seats_) {
          if (!WhyExpired(*seat).empty()) expired.push_back(seat);
        }
        for (const SeatPointer& seat : expired) Forget(seat->id, WhyExpired(*seat));
      }
      if (!expired.empty()) EndSoon(expired);
    }
  }

  Result<OpenedEpisode> Open(const std::string& task_id, const std::string& actor,
                             int64_t idle_ms_max, const std::stop_token& caller) {
    const EitherStop stop(caller, shut_.get_token());
    TASKMINT_ASSIGN_OR_RETURN(const CallTurns::Turn turn, turns_.Take(stop.token()));
    {
      const std::lock_guard lock(mutex_);
      const int64_t open = static_cast<int64_t>(seats_.size()) + opening_ + closing_;
      if (open >= limits_.episodes_max) {
        return AtDesk(
            Code::kResourceExhausted,
            std::to_string(open) + " episodes are open, which is the limit: close or grade some");
      }
      ++opening_;
    }
    auto seat = Seated(task_id, actor, stop.token());
    std::unique_lock lock(mutex_);
    if (!seat.ok()) {
      --opening_;
      return seat.status();
    }
    if (stop.token().stop_requested()) {
      // Nobody would learn its id. It counts until its world is closed.
      lock.unlock();
      (*seat)->episode.reset();
      lock.lock();
      --opening_;
      return AtDesk(Code::kCancelled, "interrupted while the episode was opened");
    }
    --opening_;
    const bool given = idle_ms_max > 0 && idle_ms_max < limits_.idle_ms_max;
    (*seat)->idle_ms_max = given ? idle_ms_max : limits_.idle_ms_max;
    (*seat)->opened_ms = (*seat)->used_ms = clock_.MonotonicMs();
    seats_.emplace((*seat)->id, *seat);
    return OpenedEpisode{(*seat)->id, PublicPart((*seat)->episode->task().kept.task()),
                         (*seat)->idle_ms_max};
  }

  Result<SeatPointer> Seated(const std::string& task_id, const std::string& actor,
                             const std::stop_token& stop) {
    TASKMINT_ASSIGN_OR_RETURN(const TaskShelf::Entry task, shelf_.Load(task_id, stop));
    TASKMINT_ASSIGN_OR_RETURN(auto world, OpenWorld(sandboxes_, *task, stop));
    auto seat = std::make_shared<Seat>();
    seat->id = NewEpisodeId();
    seat->episode = std::make_unique<Episode>(task, std::move(world), actor, clock_);
    return seat;
  }

  datasets::Store& store_;
  sandbox::SpareSandboxes sandboxes_;
  const Clock& clock_;
  const EpisodeLimits limits_;
  TaskShelf shelf_;
  CallTurns turns_;
  CallTurns tool_turns_;
  std::stop_source shut_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::condition_variable_any closable_;
  std::condition_variable_any reaping_;
  std::map<std::string, SeatPointer> seats_;
  std::map<std::string, std::string> gone_;  // why
  std::deque<std::string> gone_order_;
  std::deque<SeatPointer> expired_;  // not ended yet
  int64_t opening_ = 0;
  int64_t closing_ = 0;
  int64_t uses_ = 0;
  std::vector<std::jthread> closers_;
  std::jthread reaper_;
};

EpisodeDesk::EpisodeDesk(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                         const Clock& clock, EpisodeLimits limits)
    : impl_(std::make_unique<Impl>(store, sandboxes, clock, limits)) {}

EpisodeDesk::~EpisodeDesk() = default;

Result<OpenedEpisode> EpisodeDesk::Open(const std::string& task_id, const std::string& actor,
                                        int64_t idle_ms_max, std::stop_token stop) {
  return impl_->Open(task_id, actor, idle_ms_max, stop);
}

Result<v1::Step> EpisodeDesk::CallTool(const std::string& episode_id, const std::string& tool,
                                       const std::string& arguments_json, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(Impl::Use use, impl_->Begin(episode_id));
  const Impl::EitherStop either(std::move(stop), use.closed());
  TASKMINT_ASSIGN_OR_RETURN(const CallTurns::Turn turn, impl_->tool_turns_.Take(either.token()));
  auto step = use.episode().Call(tool, arguments_json, either.token());
  if (use.closed().stop_requested()) {
    return AtDesk(Code::kCancelled, "the episode was closed while the call ran");
  }
  return step;
}

Result<v1::Trajectory> EpisodeDesk::Grade(const std::string& episode_id, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(Impl::Use use, impl_->Begin(episode_id));
  const Impl::EitherStop either(std::move(stop), use.closed());
  TASKMINT_ASSIGN_OR_RETURN(const CallTurns::Turn turn, impl_->turns_.Take(either.token()));
  TASKMINT_ASSIGN_OR_RETURN(v1::Trajectory trajectory, use.episode().Grade(either.token()));
  const auto kept = impl_->store_.PutTrajectory(trajectory);
  if (!kept.ok() && kept.status().code() != Code::kFailedPrecondition) {
    Log(LogLevel::kWarning, "a trajectory was not kept", {{"why", kept.status().message()}});
  }
  return trajectory;
}

Status EpisodeDesk::Close(const std::string& episode_id) {
  TASKMINT_ASSIGN_OR_RETURN(const Impl::SeatPointer seat, impl_->Find(episode_id));
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->Forget(episode_id, "it was closed");
  }
  impl_->End(*seat);
  return OkStatus();
}

int64_t EpisodeDesk::open() const {
  const std::lock_guard lock(impl_->mutex_);
  return static_cast<int64_t>(impl_->seats_.size());
}

}  // namespace taskmint::orchestrator
