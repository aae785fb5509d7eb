// The store: a folder with tasks.sqlite (tasks, candidates, evidence, ledger) and blobs.
#ifndef TASKMINT_DATASETS_STORE_H_
#define TASKMINT_DATASETS_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "datasets/blob_store.h"
#include "datasets/ledger.h"
#include "proto/base/clock.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"

namespace taskmint::datasets {

// One row of `taskmint list`: a kept task or a rejected candidate.
struct ListRow {
  std::string id;
  std::string category;  // "code"
  std::string language;
  std::string source;  // portable name, as in the task's provenance
  std::string commit;
  bool kept = false;
  std::string reason;  // empty when kept
};

// What a filter may see, and how long it is waited for.
struct FilterBounds {
  // Without: rows have no commit and `where` cannot name one. Where a source is public, the SHA of
  // the fix gives the answer away, also digit by digit.
  bool commits = true;
  // CANCELLED when it is requested.
  std::stop_token stop = {};
};

// Counts of one run or of all: how many candidates ended where.
struct FunnelRow {
  std::string source;
  std::string reason;  // "kept", "surplus", "not tried", or the first word of the reason
  int64_t count = 0;
};

// A stage that was run for a candidate, or tried.
struct StageRow {
  std::string stage;
  int attempt = 0;
  std::string state;     // "done", "failed"
  std::string code;      // of a failure: "UNAVAILABLE"
  std::string boundary;  // of a failure: "sandbox"
  std::string message;
  std::string log_digest;
  int64_t started_ms = 0;
  int64_t wall_ms = 0;
};

// An environment that was built: recipe key -> layers.
struct EnvironmentRow {
  std::string key;
  std::string description;
  // (mount path, tree digest).
  std::vector<std::pair<std::string, std::string>> layers;
  // Whether the second build gave the same trees.
  bool reproducible = false;
};

// One row of `taskmint trajectory list`.
struct TrajectoryRow {
  std::string id;
  std::string task_id;
  std::string actor;
  v1::Verdict::State state = v1::Verdict::STATE_UNSPECIFIED;
  // Nothing without a verdict.
  std::optional<double> score;
  int64_t steps = 0;
  // When the episode was opened, in milliseconds since the epoch.
  int64_t started_ms = 0;
};

struct CheckReport {
  int64_t blobs = 0;
  int64_t blob_bytes = 0;
  int64_t trajectories = 0;
  std::vector<std::string> damaged;  // "blob ab12...: digest differs"
  // References that cannot be followed: "task 12ab: blob cd34... is missing (overlay)", or damaged.
  std::vector<std::string> missing;
};

struct CollectReport {
  int64_t blobs_removed = 0;
  // Bytes on disk of those blobs.
  int64_t bytes_removed = 0;
  // Entries of the cache folder that were removed, with their bytes.
  int64_t cache_entries_removed = 0;
  int64_t cache_bytes_removed = 0;
  // What killed writers had left.
  int64_t temporary_files_removed = 0;
};

enum class OpenMode { kReadOnly, kReadWrite, kCreate };

// Thread-safe: each thread gets a SQLite connection of its own. Several processes may share it; an
// open store holds a shared lock on the folder, so that nothing is collected meanwhile.
// Errors (store boundary): NOT_FOUND (no store: says how to make one), FAILED_PRECONDITION (made by
// a newer major version, or no store at all), DATA_LOSS (damaged), RESOURCE_EXHAUSTED (full disk),
// PERMISSION_DENIED, UNAVAILABLE (another process collects, or keeps the database locked).
class Store {
 public:
  static Result<std::unique_ptr<Store>> Open(const std::string& folder, OpenMode mode,
                                             const Clock& clock);
  virtual ~Store() = default;

  // As it was named to Open.
  virtual const std::string& folder() const = 0;
  virtual BlobStore& blobs() = 0;
  virtual Ledger& ledger() = 0;
  // Folder for what can be made again (materialised layers, imported sources): `store gc` empties
  // it, and its size is no part of a task's. Where the store's own cannot be written, a temporary
  // one that is gone with this object.
  virtual std::string cache_folder() const = 0;
  // Size of the database and its write-ahead log on disk.
  virtual uint64_t database_bytes() const = 0;

  // Runs: a synth request and its candidates, in order. The candidates and the first jobs are
  // written with the run in one transaction; a run that exists is left as it is.
  virtual Status CreateRun(const std::string& run_id, const v1::Job& job,
                           const std::vector<v1::Candidate>& candidates,
                           const std::vector<StageJob>& jobs) = 0;
  // Adds a task that was kept elsewhere to a run, at the next position, and writes the run before
  // that where it is new: one transaction. False, and nothing written, where any run keeps a task
  // of its id. The blobs that it refers to are there already; job_id and position are set here.
  virtual Result<bool> AddKept(const std::string& run_id, const v1::Job& job,
                               v1::Candidate candidate) = 0;
  virtual Result<std::optional<v1::Job>> FindRun(const std::string& run_id) = 0;
  virtual Result<v1::Candidate> GetCandidate(const std::string& run_id, int64_t position) = 0;
  // (position, state, id) of every candidate of a run, by position. `id` is the task id when kept.
  struct CandidateState {
    int64_t position = 0;
    v1::Candidate::State state = v1::Candidate::STATE_PENDING;
    std::string task_id;
  };
  virtual Result<std::vector<CandidateState>> CandidateStates(const std::string& run_id) = 0;
  // Opens what was rejected as `no-verdict` again, at the stage that had none: a machine that
  // failed is no judgement.
  virtual Status ReopenWithoutVerdict(const std::string& run_id) = 0;
  // Turns kept candidates at or beyond `position_max` into surplus (tasks not listed), and surplus
  // ones below it into kept: the choice of --tasks-max.
  virtual Status SelectUpTo(const std::string& run_id, int64_t position_max) = 0;
  // Id of another task (kept or surplus at a lower position of this run, or kept by any other run)
  // on the same base with the same solution patch, fail-to-pass and error-to-pass tests; empty when
  // there is none. One of the same commit of the same source goes before others. A task with the
  // candidate's own task id is the same task, not a duplicate.
  virtual Result<std::string> FindDuplicate(const v1::Candidate& candidate) = 0;

  // Kept and rejected rows; `where` is an SQLite expression over the view `task_view` (its columns
  // are documented in datasets/README.md; the bare word commit is understood), run under an
  // authorizer that lets it only read that view, for at most 10 s. INVALID_ARGUMENT with SQLite's
  // words when it does not parse, is refused or takes longer. Empty: all. A task that several runs
  // keep is one row; a rejected commit too, and none where another run keeps it. Order: kept first,
  // then by source, run (as they began) and position.
  enum class Which { kAll, kKept, kRejected };
  virtual Result<std::vector<ListRow>> List(Which which, const std::string& where,
                                            const FilterBounds& bounds) = 0;
  Result<std::vector<ListRow>> List(Which which, const std::string& where) {
    return List(which, where, FilterBounds());
  }
  // Every commit of a source once, as List; ordered by source and falling count.
  virtual Result<std::vector<FunnelRow>> Funnel() = 0;

  // By task or candidate id, or by a prefix of at least 6 digits that names one alone. Where
  // several runs have it: a kept one, else the latest. NOT_FOUND; INVALID_ARGUMENT when ambiguous
  // or no id.
  virtual Result<v1::Candidate> FindById(const std::string& id) = 0;
  virtual Result<std::vector<StageRow>> Stages(const v1::Candidate& candidate) = 0;
  virtual Result<std::vector<std::string>> KeptTaskIds(const std::string& where) = 0;

  // Submitted jobs. Put inserts, or replaces the one of the same status.id. Submissions: the latest
  // first; none in a store of a format before 1.2 that cannot be written.
  virtual Status PutSubmission(const v1::Submission& submission) = 0;
  virtual Result<std::vector<v1::Submission>> Submissions() = 0;

  virtual Result<std::optional<EnvironmentRow>> FindEnvironment(const std::string& key) = 0;
  // Writes the environment unless one of its key is there, and returns the one that is: of several
  // processes that build one recipe, all use the layers of the first.
  virtual Result<EnvironmentRow> PutEnvironment(const EnvironmentRow& row) = 0;

  // Keeps a trajectory and returns its id (TrajectoryId); one that is there stays. Its task need
  // not be here. FAILED_PRECONDITION where the store is open for reading.
  virtual Result<std::string> PutTrajectory(const v1::Trajectory& trajectory) = 0;
  // By id or by a prefix, as FindById.
  virtual Result<v1::Trajectory> FindTrajectory(const std::string& id) = 0;
  // Of one task, or of all where `task_id` is empty; the oldest first.
  virtual Result<std::vector<TrajectoryRow>> Trajectories(const std::string& task_id) = 0;

  // Reads every blob, every trajectory and every reference. Finds damage; changes nothing.
  virtual Result<CheckReport> Check() = 0;
  // Removes blobs that nothing refers to and that are older than an hour, empties the cache, and
  // removes what killed writers left. UNAVAILABLE while another process, or another Store object of
  // this one, has the store open; DATA_LOSS, with nothing removed, while a referenced tree cannot
  // be read. No other thread uses this Store meanwhile.
  virtual Result<CollectReport> Collect() = 0;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_STORE_H_
