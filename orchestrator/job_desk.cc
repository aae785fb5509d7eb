#include "orchestrator/job_desk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "orchestrator/minting.h"
#include "proto/base/check.h"
#include "proto/base/digest.h"
#include "proto/base/log.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNameBytesMax = 200;
constexpr size_t kUrlBytesMax = 2'000;
constexpr size_t kSettingsBytesMax = 1 << 20;
constexpr size_t kEventsMax = 200'000;

Status BadRequest(const std::string& message) {
  return {Code::kInvalidArgument, Boundary::kConfig, message};
}

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~/:+@%").find(c) != std::string_view::npos;
  });
}

// The name becomes part of ids and of what others read: no path, nothing hidden.
bool IsPortableName(const std::string& name) {
  return !name.empty() && name.size() <= kNameBytesMax && IsPlain(name) && name.front() != '/' &&
         name.front() != '.' && name.find("..") == std::string::npos;
}

std::string NewId() {
  return Sha256Hex(std::to_string(SystemRandom()) + std::to_string(SystemRandom())).substr(0, 32);
}

bool HasEnded(const v1::JobStatus& status) {
  return status.state() != v1::JobStatus::STATE_QUEUED &&
         status.state() != v1::JobStatus::STATE_RUNNING;
}

// Scheme, host and port in lower case, and the rest.
std::pair<std::string, std::string> SplitUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const size_t path = std::min(url.find('/', scheme + 3), url.size());
  return {LowerCase(std::string(url.substr(0, path))), std::string(url.substr(path))};
}

MintRequest MintRequestOf(const v1::SynthRequest& asked, const std::string& source, int64_t jobs) {
  MintRequest request;
  v1::Job& job = request.job;
  job.set_category(v1::CATEGORY_CODE);
  job.set_source(source);
  job.set_seed(asked.seed());
  job.set_since_s(asked.since_s());
  job.set_until_s(asked.until_s());
  *job.mutable_settings() = asked.settings();
  job.set_grade_scope(asked.grade_scope().empty() ? "graded" : asked.grade_scope());
  request.issues_text = asked.issues();
  request.tasks_max = asked.tasks_max();
  request.jobs = jobs;
  request.repository_names_hosts = false;
  request.source_name = asked.url().empty() ? asked.name() : "";
  return request;
}

}  // namespace

bool IsAllowedUrl(std::string_view url, const std::vector<std::string>& allowed) {
  const bool web = url.starts_with("https://") || url.starts_with("http://");
  if (!web || url.size() > kUrlBytesMax || !IsPlain(url) ||
      url.find('@') != std::string_view::npos || url.find('%') != std::string_view::npos ||
      url.find("..") != std::string_view::npos) {
    return false;
  }
  const auto [place, path] = SplitUrl(url);
  for (const std::string& rule : allowed) {
    auto [rule_place, rule_path] = SplitUrl(rule);
    while (!rule_path.empty() && rule_path.back() == '/') rule_path.pop_back();
    if (place != rule_place || !path.starts_with(rule_path)) continue;
    if (path.size() == rule_path.size() || path[rule_path.size()] == '/') return true;
  }
  return false;
}

// Turns what a run tells into the job's status and events.
class JobDesk::Listener final : public MintListener {
 public:
  Listener(JobDesk& desk, Entry& entry) : desk_(desk), entry_(entry) {}

  void OnNotice(const std::string&, const std::string& message) override {
    v1::JobEvent event;
    event.set_notice(ToUtf8(desk_.Shown(entry_.submission, message)));
    Tell(std::move(event));
  }
  void OnSearch(int64_t, int64_t) override {}
  void OnBegin(const std::string& source, const RunProgress& progress) override {
    {
      const std::lock_guard lock(desk_.mutex_);
      entry_.submission.mutable_status()->set_source(ToUtf8(source));
      Take(progress);
    }
    Tell({});
  }
  void OnDecided(const v1::Candidate& candidate, const RunProgress& progress) override {
    v1::JobEvent event;
    v1::JobEvent::Decision& decision = *event.mutable_decision();
    decision.set_commit(candidate.commit());
    const bool kept = candidate.state() == v1::Candidate::STATE_KEPT;
    if (kept) decision.set_task_id(candidate.task().id());
    decision.set_reason(desk_.Shown(entry_.submission, candidate.reason()));
    {
      const std::lock_guard lock(desk_.mutex_);
      Take(progress);
      if (kept) entry_.kept[candidate.position()] = candidate.task().id();
      if (!kept && !candidate.reason().empty()) {
        const std::string word = candidate.reason().substr(0, candidate.reason().find(':'));
        ++(*entry_.submission.mutable_status()->mutable_rejected())[word];
      }
    }
    Tell(std::move(event));
  }

 private:
  void Take(const RunProgress& progress) {  // with the desk's mutex held
    v1::JobStatus& status = *entry_.submission.mutable_status();
    status.set_candidates(progress.candidates);
    status.set_decided(progress.decided);
    status.set_kept(progress.kept);
  }
  void Tell(v1::JobEvent event) {
    const std::lock_guard lock(desk_.mutex_);
    *event.mutable_status() = entry_.submission.status();
    if (entry_.events->size() < kEventsMax) entry_.events->push_back(std::move(event));
    desk_.changed_.notify_all();
  }

  JobDesk& desk_;
  Entry& entry_;
};

Result<std::unique_ptr<JobDesk>> JobDesk::Open(datasets::Store& store,
                                               sandbox::SandboxHost& sandboxes, const Clock& clock,
                                               JobLimits limits) {
  TASKMINT_ASSIGN_OR_RETURN(ServingLock lock, ServingLock::Take(store.folder()));
  TASKMINT_ASSIGN_OR_RETURN(std::vector<v1::Submission> known, store.Submissions());
  std::unique_ptr<JobDesk> desk(
      new JobDesk(store, sandboxes, clock, std::move(limits), std::move(lock)));
  std::reverse(known.begin(), known.end());
  for (v1::Submission& submission : known) {
    const std::string id = submission.status().id();
    auto entry = std::make_unique<Entry>();
    const bool ended = HasEnded(submission.status());
    if (!ended) {
      submission.mutable_status()->set_state(v1::JobStatus::STATE_QUEUED);
      submission.mutable_status()->clear_rejected();
    }
    entry->submission = std::move(submission);
    if (ended) Release(*entry);
    desk->order_.push_back(id);
    desk->entries_.emplace(id, std::move(entry));
  }
  return desk;
}

void JobDesk::Begin() {
  runner_ = std::jthread([this](std::stop_token stop) { RunAll(std::move(stop)); });
}

JobDesk::JobDesk(datasets::Store& store, sandbox::SandboxHost& sandboxes, const Clock& clock,
                 JobLimits limits, ServingLock lock)
    : store_(store),
      sandboxes_(sandboxes),
      clock_(clock),
      limits_(std::move(limits)),
      lock_(std::move(lock)),
      hidden_cache_(store.cache_folder(), "the server's cache"),
      hidden_store_(store.folder(), "the server's store") {}

JobDesk::~JobDesk() {
  runner_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, entry] : entries_) entry->stop.request_stop();
    changed_.notify_all();
  }
}

Status JobDesk::Check(const v1::SynthRequest& request) const {
  if (request.url().empty() == request.name().empty()) {
    return BadRequest("name a source: url for one that the server may open, or name and a bundle");
  }
  if (!request.url().empty() && !IsAllowedUrl(request.url(), limits_.allowed_urls)) {
    return {Code::kPermissionDenied, Boundary::kConfig,
            "this server may not open " + OneLine(request.url().substr(0, kNameBytesMax)) +
                ": it is not below one of its --allow-url; send the repository as a bundle"};
  }
  if (request.url().empty() && !IsPortableName(request.name())) {
    return BadRequest("the name of a source has letters, digits and -._~/:+@ only, and is no path");
  }
  if (request.tasks_max() < 0) return BadRequest("tasks_max is negative");
  const std::string& scope = request.grade_scope();
  if (!scope.empty() && scope != "graded" && scope != "full") {
    return BadRequest("grade_scope is graded or full");
  }
  if (request.settings().ByteSizeLong() > kSettingsBytesMax) {
    return BadRequest("the settings are larger than 1 MiB");
  }
  if (!request.settings().build_hosts().empty()) {
    return {Code::kPermissionDenied, Boundary::kConfig,
            "a client cannot name hosts that builds may reach"};
  }
  return OkStatus();
}

int64_t JobDesk::Waiting() const {
  return std::count_if(entries_.begin(), entries_.end(), [](const auto& item) {
    return item.second->submission.status().state() == v1::JobStatus::STATE_QUEUED;
  });
}

JobDesk::Place::~Place() {
  if (desk_ == nullptr) return;
  const std::lock_guard lock(desk_->mutex_);
  --desk_->reserved_;
}

Result<JobDesk::Place> JobDesk::Reserve() {
  const std::lock_guard lock(mutex_);
  const int64_t taken = Waiting() + reserved_;
  if (taken >= limits_.waiting_max) {
    return Status(Code::kResourceExhausted, Boundary::kConfig,
                  std::to_string(taken) +
                      " jobs wait, as many as this server takes: submit it again when one has "
                      "ended");
  }
  ++reserved_;
  return Place(*this);
}

Result<v1::JobStatus> JobDesk::Submit(const v1::SynthRequest& request, std::string_view bundle,
                                      const Place& place) {
  TASKMINT_CHECK(place.desk_ == this);
  TASKMINT_RETURN_IF_ERROR(Check(request));
  if (request.url().empty() == bundle.empty()) {
    return BadRequest(bundle.empty() ? "no bundle: send its bytes after the request"
                                     : "a url and a bundle: send one of them");
  }
  v1::Submission submission;
  *submission.mutable_request() = request;
  if (!bundle.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(*submission.mutable_bundle_digest(), store_.blobs().Put(bundle));
  }
  v1::JobStatus& status = *submission.mutable_status();
  status.set_id(NewId());
  status.set_state(v1::JobStatus::STATE_QUEUED);
  status.set_source(request.url().empty() ? request.name() : ShownSource(request.url()));
  status.set_created_ms(clock_.NowMs());

  const std::lock_guard lock(mutex_);
  TASKMINT_RETURN_IF_ERROR(store_.PutSubmission(submission));
  const v1::JobStatus accepted = status;
  auto entry = std::make_unique<Entry>();
  entry->submission = std::move(submission);
  order_.push_back(accepted.id());
  entries_.emplace(accepted.id(), std::move(entry));
  changed_.notify_all();
  return accepted;
}

namespace {

Status NoJob(const std::string& id) {
  return {Code::kNotFound, Boundary::kStore, "no job " + OneLine(id.substr(0, 64))};
}

}  // namespace

Result<v1::JobStatus> JobDesk::Get(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return NoJob(id);
  return found->second->submission.status();
}

JobPage JobDesk::List(std::optional<size_t> next, size_t jobs_max, size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  JobPage page;
  size_t at = std::min(next.value_or(order_.size()), order_.size());
  size_t bytes = 0;
  while (at > 0 && (jobs_max == 0 || page.jobs.size() < jobs_max)) {
    v1::JobStatus status = entries_.at(order_[at - 1])->submission.status();
    status.clear_tasks();
    bytes += status.ByteSizeLong() + 8;
    if (bytes > bytes_max && !page.jobs.empty()) break;
    page.jobs.push_back(std::move(status));
    --at;
  }
  if (at > 0) page.next = at;
  return page;
}

Result<v1::JobStatus> JobDesk::Cancel(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return NoJob(id);
  Entry& entry = *found->second;
  v1::JobStatus& status = *entry.submission.mutable_status();
  if (HasEnded(status)) return status;
  v1::Submission cancelled = entry.submission;
  cancelled.mutable_status()->set_state(v1::JobStatus::STATE_CANCELLED);
  cancelled.mutable_status()->set_ended_ms(clock_.NowMs());
  for (const auto& [position, task] : entry.kept) cancelled.mutable_status()->add_tasks(task);
  TASKMINT_RETURN_IF_ERROR(store_.PutSubmission(cancelled));
  const bool runs = status.state() == v1::JobStatus::STATE_RUNNING;
  status = cancelled.status();
  entry.cancelled = true;
  entry.stop.request_stop();
  if (!runs) Release(entry);  // else its run reads the request
  changed_.notify_all();
  return status;
}

Status JobDesk::Watch(const std::string& id, const Tell& tell, std::stop_token stop) const {
  std::unique_lock lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return NoJob(id);
  const Entry& entry = *found->second;
  const std::shared_ptr<const std::vector<v1::JobEvent>> events = entry.events;
  size_t told = events->size();
  v1::JobEvent event;
  *event.mutable_status() = entry.submission.status();
  v1::JobStatus::State last = v1::JobStatus::STATE_UNSPECIFIED;
  for (;;) {
    last = event.status().state();
    const bool end = HasEnded(event.status());
    lock.unlock();
    if (!tell(event)) return OkStatus();
    lock.lock();
    if (end) return OkStatus();
    const auto news = [&] {
      return told < events->size() || entry.submission.status().state() != last;
    };
    if (!changed_.wait(lock, stop, news)) {
      return {Code::kCancelled, Boundary::kNone, "nobody waits for the job's events any more"};
    }
    event.Clear();
    if (told < events->size()) {
      event = (*events)[told++];
    } else {
      *event.mutable_status() = entry.submission.status();
    }
  }
}

void JobDesk::Record(Entry& entry) {
  const Status status = store_.PutSubmission(entry.submission);
  if (!status.ok()) {
    Log(LogLevel::kError, "job_not_recorded",
        {{"job", entry.submission.status().id()}, {"error", status.message()}});
  }
}

JobDesk::Entry* JobDesk::NextWaiting() {
  for (const std::string& id : order_) {
    Entry& entry = *entries_.at(id);
    if (entry.submission.status().state() == v1::JobStatus::STATE_QUEUED) return &entry;
  }
  return nullptr;
}

void JobDesk::Release(Entry& entry) {
  entry.submission.clear_request();
  entry.kept.clear();
  entry.events = std::make_shared<std::vector<v1::JobEvent>>();
}

std::string JobDesk::BundlePath(const v1::Submission& submission) const {
  return (fs::absolute(fs::path(store_.cache_folder()) / "bundles") /
          (submission.bundle_digest() + ".bundle"))
      .string();
}

std::string JobDesk::Shown(const v1::Submission& submission, const std::string& message) const {
  const std::string named =
      submission.bundle_digest().empty()
          ? message
          : HiddenPath(BundlePath(submission), submission.request().name()).Hide(message);
  return hidden_store_.Hide(hidden_cache_.Hide(named));
}

void JobDesk::RunAll(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return NextWaiting() != nullptr; })) {
    Entry& entry = *NextWaiting();
    entry.submission.mutable_status()->set_state(v1::JobStatus::STATE_RUNNING);
    Record(entry);
    changed_.notify_all();
    lock.unlock();
    RunOne(entry, stop);
    lock.lock();
  }
}

// A path for the bundle, named by its content: MintSource reads files.
Result<std::string> JobDesk::SourceOf(const v1::Submission& submission) const {
  if (!submission.request().url().empty()) return submission.request().url();
  const fs::path path = BundlePath(submission);
  std::error_code error;
  if (fs::exists(path, error)) return path.string();
  TASKMINT_ASSIGN_OR_RETURN(const std::string bytes,
                            store_.blobs().Get(submission.bundle_digest()));
  fs::create_directories(path.parent_path(), error);
  const fs::path partial = path.string() + "." + NewId();
  std::ofstream file(partial, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) fs::rename(partial, path, error);
  if (file && !error) return path.string();
  fs::remove(partial, error);
  return Status(Code::kResourceExhausted, Boundary::kStore,
                "cannot write the bundle to " + path.string() + ": is the disk full?");
}

void JobDesk::RunOne(Entry& entry, std::stop_token stop) {
  const std::stop_callback forward(stop, [&entry] { entry.stop.request_stop(); });
  Listener listener(*this, entry);
  const Result<std::string> source = SourceOf(entry.submission);
  Result<MintSummary> summary = source.ok()
                                    ? MintSource(store_, sandboxes_,
                                                 MintRequestOf(entry.submission.request(), *source,
                                                               limits_.candidates_at_once),
                                                 listener, entry.stop.get_token())
                                    : source.status();

  const std::lock_guard lock(mutex_);
  if (stop.stop_requested() && !entry.cancelled) return;  // to be gone on with
  v1::JobStatus& status = *entry.submission.mutable_status();
  if (!entry.cancelled) {
    const Status end = summary.ok() ? summary->end : summary.status();
    status.set_state(end.ok() ? v1::JobStatus::STATE_DONE : v1::JobStatus::STATE_FAILED);
    if (!end.ok()) status.set_error(ToUtf8(Shown(entry.submission, end.message())));
    status.set_ended_ms(clock_.NowMs());
  }
  if (summary.ok()) {
    status.set_candidates(summary->candidates);
    status.set_decided(summary->decided);
    status.set_kept(static_cast<int64_t>(summary->tasks.size()));
    status.clear_tasks();
    for (const std::string& id : summary->tasks) status.add_tasks(id);
    status.clear_rejected();
    for (const auto& [word, count] : summary->rejected) (*status.mutable_rejected())[word] = count;
  }
  Record(entry);
  Release(entry);
  changed_.notify_all();
}

}  // namespace taskmint::orchestrator
