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
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "datasets/store.h"
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
  // URLs that jobs may open: those that are one of these or lie below it
  // ("https://example.org/team"). Empty: none.
  std::vector<std::string> allowed_urls;
};

// Jobs in the store's order. Every change of state is in the store before it is told, so that a
// killed server loses none: what had not ended is gone on with by the next desk on that store.
// Thread-safe.
class JobDesk {
 public:
  // Starts with what the store holds. `store` is writable; it and the others outlive the desk.
  static Result<std::unique_ptr<JobDesk>> Open(datasets::Store& store,
                                               sandbox::SandboxHost& sandboxes, const Clock& clock,
                                               JobLimits limits);
  // Stops what runs, which stays unended in the store.
  ~JobDesk();
  JobDesk(const JobDesk&) = delete;
  JobDesk& operator=(const JobDesk&) = delete;

  const JobLimits& limits() const { return limits_; }

  // Checks all that can be checked without the bundle. INVALID_ARGUMENT for a request that asks for
  // nothing possible, PERMISSION_DENIED for a URL that is not allowed.
  Status Check(const v1::SynthRequest& request) const;
  // Accepts a job; `bundle` is empty for one with a URL. RESOURCE_EXHAUSTED when too many wait.
  Result<v1::JobStatus> Submit(const v1::SynthRequest& request, std::string_view bundle);

  // NOT_FOUND.
  Result<v1::JobStatus> Get(const std::string& id) const;
  // The latest first.
  std::vector<v1::JobStatus> List() const;
  // CANCELLED from then on, unless it had ended. What runs is stopped, and what it kept stays.
  Result<v1::JobStatus> Cancel(const std::string& id);

  // Tells how the job stands, and then of what happens, in order, until it has ended, `tell`
  // returns false, or `stop` is requested (CANCELLED). Who falls behind misses no decision.
  using Tell = std::function<bool(const v1::JobEvent& event)>;
  Status Watch(const std::string& id, const Tell& tell, std::stop_token stop) const;

 private:
  class Listener;
  struct Entry {
    v1::Submission submission;
    std::stop_source stop;
    bool cancelled = false;
    // What was told since this process took the job up.
    std::vector<v1::JobEvent> events;
  };

  JobDesk(datasets::Store& store, sandbox::SandboxHost& sandboxes, const Clock& clock,
          JobLimits limits);
  void RunAll(std::stop_token stop);
  void RunOne(Entry& entry, std::stop_token stop);
  Result<std::string> SourceOf(const v1::Submission& submission) const;
  void Record(Entry& entry);  // with mutex_ held
  Entry* NextWaiting();       // with mutex_ held

  datasets::Store& store_;
  sandbox::SandboxHost& sandboxes_;
  const Clock& clock_;
  const JobLimits limits_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;  // by id
  std::vector<std::string> order_;                         // as they were submitted
  std::jthread runner_;
};

// Whether `url` is, or lies below, one of `allowed`: the same scheme, host and port, and path. A
// URL with a user name, a "..", or anything that is no plain character, is not.
bool IsAllowedUrl(std::string_view url, const std::vector<std::string>& allowed);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_JOB_DESK_H_
