// Batch jobs that clients submit to a server: waiting, running, ended, and gone on with after the
// server itself was ended.
#ifndef TASKMINT_ORCHESTRATOR_JOB_DESK_H_
#define TASKMINT_ORCHESTRATOR_JOB_DESK_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "datasets/store.h"
#include "orchestrator/hidden_path.h"
#include "orchestrator/serving_lock.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "proto/services.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

struct JobLimits {
  // Jobs that wait for their turn; one runs at a time, with as many candidates at once as below.
  int64_t waiting_max = 64;
  int64_t candidates_at_once = 1;
  int64_t bundle_bytes_max = int64_t{256} << 20;
  // How long the first message of an upload may take, which holds no place yet. The rest has as
  // long again, and a second more for every 16 KiB that have come.
  int64_t upload_wait_ms_max = 30'000;
  // URLs that jobs may open: those that are one of these or lie below it
  // ("https://example.org/team"). Empty: none.
  std::vector<std::string> allowed_urls;
};

// Some of a desk's jobs, the latest first.
struct JobPage {
  // Without the ids of their tasks.
  std::vector<v1::JobStatus> jobs;
  // What is given to List for the next page; nothing where this was the last.
  std::optional<size_t> next;
};

// Jobs in the store's order. Every change of state is in the store before it is told, so that a
// killed server loses none: what had not ended is gone on with by the next desk on that store.
// One desk a store: two would overwrite each other's jobs. Thread-safe.
class JobDesk {
 public:
  // Begins with what the store holds. `store` is writable; it and the others outlive the desk.
  // UNAVAILABLE (store) where another desk, of any process, has the store.
  static Result<std::unique_ptr<JobDesk>> Open(datasets::Store& store,
                                               sandbox::SandboxHost& sandboxes, const Clock& clock,
                                               JobLimits limits);
  // Runs jobs from now on. Called once.
  void Begin();
  // Stops what runs, which stays unended in the store.
  ~JobDesk();
  JobDesk(const JobDesk&) = delete;
  JobDesk& operator=(const JobDesk&) = delete;

  const JobLimits& limits() const { return limits_; }

  // Checks all that can be checked without the bundle. INVALID_ARGUMENT for a request that asks for
  // nothing possible, PERMISSION_DENIED for a URL that is not allowed.
  Status Check(const v1::SynthRequest& request) const;
  // A place among the jobs that wait, given back when destroyed. Does not outlive the desk.
  class Place {
   public:
    Place(Place&& other) noexcept : desk_(other.desk_) { other.desk_ = nullptr; }
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    friend class JobDesk;
    explicit Place(JobDesk& desk) : desk_(&desk) {}
    JobDesk* desk_;
  };
  // Had before a bundle is received, so that none is received in vain. RESOURCE_EXHAUSTED when too
  // many jobs wait or are on their way.
  Result<Place> Reserve();
  // Accepts a job into its place; `bundle` is empty for one with a URL.
  Result<v1::JobStatus> Submit(const v1::SynthRequest& request, std::string_view bundle,
                               const Place& place);

  // NOT_FOUND.
  Result<v1::JobStatus> Get(const std::string& id) const;
  // Those submitted before `next` of the page before; nothing: the latest. At most `jobs_max` (0:
  // any number) and about `bytes_max` bytes, but at least one.
  JobPage List(std::optional<size_t> next, size_t jobs_max, size_t bytes_max) const;
  // CANCELLED from then on, unless it had ended. What runs is stopped, and what it kept stays. An
  // error, and nothing changed, where that cannot be written.
  Result<v1::JobStatus> Cancel(const std::string& id);

  // Tells how the job stands, and then of what happens, in order, until it has ended, `tell`
  // returns false, or `stop` is requested (CANCELLED). Who falls behind misses nothing of the first
  // 200,000 events, also when the job has ended meanwhile. The ids of tasks come with the end.
  using Tell = std::function<bool(const v1::JobEvent& event)>;
  Status Watch(const std::string& id, const Tell& tell, std::stop_token stop) const;

 private:
  class Listener;
  struct Entry {
    v1::Submission submission;
    std::stop_source stop;
    bool cancelled = false;
    // What was told since this process took the job up, for as long as the job or a watcher needs
    // it.
    std::shared_ptr<std::vector<v1::JobEvent>> events =
        std::make_shared<std::vector<v1::JobEvent>>();
    // Ids of tasks that were kept since then, by position.
    std::map<int64_t, std::string> kept;
  };

  JobDesk(datasets::Store& store, sandbox::SandboxHost& sandboxes, const Clock& clock,
          JobLimits limits, ServingLock lock);
  void RunAll(std::stop_token stop);
  void RunOne(Entry& entry, std::stop_token stop);
  Result<std::string> SourceOf(const v1::Submission& submission) const;
  std::string BundlePath(const v1::Submission& submission) const;
  // What a run says, without paths of this machine.
  std::string Shown(const v1::Submission& submission, const std::string& message) const;
  // With mutex_ held:
  int64_t Waiting() const;
  void Record(Entry& entry);
  Entry* NextWaiting();
  // Forgets what an ended job needs no more.
  static void Release(Entry& entry);

  datasets::Store& store_;
  sandbox::SandboxHost& sandboxes_;
  const Clock& clock_;
  const JobLimits limits_;
  const ServingLock lock_;
  const HiddenPath hidden_cache_;
  const HiddenPath hidden_store_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;  // by id
  std::vector<std::string> order_;                         // as they were submitted
  int64_t reserved_ = 0;                                   // places that are held
  std::jthread runner_;
};

// Whether `url` is, or lies below, one of `allowed`: the same scheme, host and port, and path. A
// URL with a user name, a "..", or anything that is no plain character, is not.
bool IsAllowedUrl(std::string_view url, const std::vector<std::string>& allowed);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_JOB_DESK_H_
