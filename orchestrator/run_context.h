// What every stage of one run works with: the store, the sandboxes, the source, and what is
// remembered between the stages of a candidate.
#ifndef TASKMINT_ORCHESTRATOR_RUN_CONTEXT_H_
#define TASKMINT_ORCHESTRATOR_RUN_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "environments/repository/candidate.h"
#include "environments/repository/language_driver.h"
#include "environments/repository/source_import.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "sandbox/sandbox.h"
#include "verifier/gate.h"

namespace taskmint::orchestrator {

// The last few candidates that were read from the repository, so that a stage finds what the stage
// before it read: at most `entries_max` and, but for the latest, `bytes_max` in memory.
// Thread-safe.
class ProposalShelf {
 public:
  using Entry = std::shared_ptr<const environments::ProposalOutcome>;
  explicit ProposalShelf(size_t entries_max, uint64_t bytes_max = uint64_t{512} << 20)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}
  // Null when it is not there (any more).
  Entry Find(const std::string& commit);
  void Put(const std::string& commit, Entry entry);

 private:
  struct Place {
    std::string commit;
    Entry entry;
    uint64_t bytes = 0;
  };
  const size_t entries_max_;
  const uint64_t bytes_max_;
  std::mutex mutex_;
  std::list<Place> places_;  // the latest first
  uint64_t bytes_ = 0;
};

// Lets one thread build an environment while others of this process that need the same wait. What
// nobody holds is forgotten. Thread-safe.
class BuildLocks {
 public:
  std::shared_ptr<std::mutex> For(const std::string& key);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<std::mutex>> locks_;
};

// One run over one source. Everything but the shelf and the locks is constant while stages run.
struct RunContext {
  datasets::Store& store;
  sandbox::SandboxHost& sandboxes;
  const environments::LanguageDriver& driver;
  environments::ImportedSource source;
  v1::Job job;
  std::string run_id;
  std::vector<environments::IssueRecord> issues;
  sandbox::BaseLayer base;
  // The taskmint.toml at HEAD; empty where there is none. HEAD is part of the run's id.
  v1::RepositorySettings head_settings;
  ProposalShelf proposals;
  BuildLocks builds;
  // Candidates of this invocation that are tasks of another run.
  std::atomic<int64_t> kept_before = 0;
  // Whether a taskmint.toml may name hosts that the build may reach.
  bool repository_names_hosts = true;
};

// Name and version in provenance: "taskmint 0.1.0".
std::string PipelineName();

// The candidate as read from the repository; from the shelf where it is still there. Errors of the
// environment boundary are the commit's own; of the config boundary, the source is gone.
Result<ProposalShelf::Entry> ReadProposal(RunContext& context, const v1::Candidate& candidate);

// The user's settings, completed from the taskmint.toml of the environment's tree or, where the
// tree has none, HEAD's: most histories are older than their file. INVALID_ARGUMENT (config) when
// the tree's is malformed.
Result<v1::RepositorySettings> SettingsOf(const RunContext& context, const FileTree& tree);

// Limits of one graded run.
v1::RunLimits LimitsOf(const v1::RepositorySettings& settings);

// The gates' settings for a candidate: seeded by the run and the commit.
verifier::GateSettings GateSettingsOf(const RunContext& context, const v1::Candidate& candidate);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_RUN_CONTEXT_H_
