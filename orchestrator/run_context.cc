#include "orchestrator/run_context.h"

#include <algorithm>
#include <unordered_set>

#include "datasets/repository_settings.h"
#include "environments/repository/git_repository.h"
#include "proto/base/digest.h"
#include "proto/base/random.h"

namespace taskmint::orchestrator {
namespace {

// A rough count of the memory that a tree takes with its paths.
constexpr uint64_t kFileBytes = 300;

// The trees of a proposal share what is equal.
uint64_t BytesOf(const environments::Proposal& proposal) {
  std::unordered_set<const std::string*> contents;
  uint64_t bytes = proposal.gold_patch.size();
  for (const FileTree* tree : {&proposal.parent_tree, &proposal.gold_tree, &proposal.overlay}) {
    for (const auto& [path, entry] : tree->files()) {
      bytes += kFileBytes;
      if (contents.insert(entry.content.get()).second) bytes += entry.content->size();
    }
  }
  return bytes;
}

}  // namespace

ProposalShelf::Entry ProposalShelf::Find(const std::string& commit) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(places_.begin(), places_.end(),
                                  [&](const Place& place) { return place.commit == commit; });
  if (found == places_.end()) return nullptr;
  places_.splice(places_.begin(), places_, found);
  return found->entry;
}

void ProposalShelf::Put(const std::string& commit, Entry entry) {
  const uint64_t bytes = BytesOf(entry->proposal);
  std::lock_guard lock(mutex_);
  places_.push_front({commit, std::move(entry), bytes});
  bytes_ += bytes;
  while (places_.size() > 1 && (places_.size() > entries_max_ || bytes_ > bytes_max_)) {
    bytes_ -= places_.back().bytes;
    places_.pop_back();
  }
}

std::shared_ptr<std::mutex> BuildLocks::For(const std::string& key) {
  std::lock_guard lock(mutex_);
  std::erase_if(locks_, [](const auto& place) { return place.second.expired(); });
  std::weak_ptr<std::mutex>& slot = locks_[key];
  std::shared_ptr<std::mutex> held = slot.lock();
  if (held == nullptr) slot = held = std::make_shared<std::mutex>();
  return held;
}

std::string PipelineName() { return "taskmint " TASKMINT_VERSION; }

Result<ProposalShelf::Entry> ReadProposal(RunContext& context, const v1::Candidate& candidate) {
  if (auto entry = context.proposals.Find(candidate.commit())) return entry;
  auto opened = environments::GitRepository::Open(context.source.repository_path);
  if (!opened.ok()) {
    // The source itself went away: no judgement about this commit.
    return Status(opened.status().code(), Boundary::kConfig, opened.status().message());
  }
  const std::unique_ptr<environments::GitRepository> repository = *std::move(opened);
  const environments::CandidateCommit commit{candidate.commit(),
                                             candidate.task().provenance().parent_commit()};
  TASKMINT_ASSIGN_OR_RETURN(
      environments::ProposalOutcome outcome,
      environments::Propose(*repository, context.driver, commit, context.issues, {}));
  auto entry = std::make_shared<const environments::ProposalOutcome>(std::move(outcome));
  context.proposals.Put(candidate.commit(), entry);
  return entry;
}

Result<v1::RepositorySettings> SettingsOf(const RunContext& context, const FileTree& tree) {
  v1::RepositorySettings settings = context.head_settings;
  const FileEntry* file = tree.Find(datasets::kSettingsFile);
  if (file != nullptr && file->kind != FileEntry::Kind::kSymlink) {
    TASKMINT_ASSIGN_OR_RETURN(
        settings, datasets::ParseRepositorySettings(*file->content, datasets::kSettingsFile));
  }
  if (!context.repository_names_hosts) settings.clear_build_hosts();
  // What the user says goes before what the repository says.
  const v1::RepositorySettings& said = context.job.settings();
  if (!said.setup_script().empty()) settings.set_setup_script(said.setup_script());
  if (!said.test_command().empty()) settings.set_test_command(said.test_command());
  if (said.packages_size() > 0) *settings.mutable_packages() = said.packages();
  if (said.build_hosts_size() > 0) *settings.mutable_build_hosts() = said.build_hosts();
  if (said.test_wall_ms_max() > 0) settings.set_test_wall_ms_max(said.test_wall_ms_max());
  return settings;
}

v1::RunLimits LimitsOf(const v1::RepositorySettings& settings) {
  const sandbox::Limits defaults;
  v1::RunLimits limits;
  limits.set_wall_ms_max(settings.test_wall_ms_max() > 0 ? settings.test_wall_ms_max() : 600'000);
  limits.set_memory_bytes_max(defaults.memory_bytes_max);
  limits.set_processes_max(defaults.processes_max);
  limits.set_disk_bytes_max(defaults.disk_bytes_max);
  return limits;
}

verifier::GateSettings GateSettingsOf(const RunContext& context, const v1::Candidate& candidate) {
  verifier::GateSettings settings;
  settings.seed = Random(context.job.seed(), "gate " + candidate.commit()).Next();
  settings.grade_full_suite = context.job.grade_scope() == "full";
  const int64_t wall_ms_max = candidate.task().environment().repository().limits().wall_ms_max();
  if (wall_ms_max > 0) settings.test_wall_ms_max = wall_ms_max;
  for (const v1::Evidence& row : candidate.evidence()) {
    if (row.gate() != "oracle") continue;
    settings.attack_wall_ms_max = verifier::AttackWallMsMax(row, settings.test_wall_ms_max);
    const auto alone = row.values().find("targets_alone");
    if (alone != row.values().end() && alone->second == 1) {
      settings.attack_first = verifier::First::kTargets;
    }
  }
  return settings;
}

}  // namespace taskmint::orchestrator
