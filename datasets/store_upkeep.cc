// SqliteStore's check and collect.
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "datasets/candidate_rows.h"
#include "datasets/os_error.h"
#include "datasets/sqlite_store.h"
#include "datasets/tree_reader.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;
using sqlite::Statement;
using Visit = std::function<void(const Reference&)>;

constexpr int64_t kAgeMsMin = 3'600'000;
constexpr size_t kProblemsMax = 1'000;

void VisitCandidate(const v1::Candidate& candidate, const Visit& visit) {
  const v1::Task& task = candidate.task();
  const std::string owner = task.id().empty() ? "candidate " + candidate.id() : "task " + task.id();
  const auto add = [&](const std::string& digest, bool is_tree, const std::string& role) {
    if (!digest.empty()) visit({digest, is_tree, owner, role});
  };
  add(task.solution().patch_digest(), false, "solution");
  add(task.verifier().tests().overlay_digest(), true, "overlay");
  const v1::RepositoryEnvironment& repository = task.environment().repository();
  add(repository.tree_digest(), true, "repository");
  for (const v1::Layer& layer : repository.layers()) {
    add(layer.tree_digest(), true, "layer " + layer.mount_path());
  }
  for (const v1::Evidence& evidence : candidate.evidence()) {
    add(evidence.log_digest(), false, "log of gate " + evidence.gate());
    for (const v1::Attempt& attempt : evidence.attempts()) {
      add(attempt.log_digest(), false, "log of " + attempt.name());
    }
  }
}

uint64_t BytesBelow(const fs::path& path) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    struct stat status {};
    if (lstat(it->path().c_str(), &status) == 0) {
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

Status EmptyCache(const std::string& folder, CollectReport& report) {
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error == std::errc::no_such_file_or_directory) return OkStatus();
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const fs::path path = it->path();
    report.cache_bytes_removed += static_cast<int64_t>(BytesBelow(path));
    fs::remove_all(path, error);
    if (error) return OsError(error.value(), "remove", path.string());
    ++report.cache_entries_removed;
  }
  return error ? OsError(error.value(), "read the folder", folder) : OkStatus();
}

// What is wrong with the blobs that rows refer to; every tree is walked once.
class ReferenceChecker {
 public:
  // `blobs_there`: the blobs that were listed, true for those that are whole.
  ReferenceChecker(const BlobStore& blobs, std::unordered_map<std::string, bool> blobs_there)
      : blobs_(blobs), there_(std::move(blobs_there)) {}

  void Check(const Reference& reference, std::vector<std::string>& problems) {
    const auto add = [&](const std::string& problem) {
      if (problems.size() < kProblemsMax) {
        problems.push_back(reference.owner + ": " + problem + " (" + reference.role + ")");
      }
    };
    if (!reference.is_tree) {
      if (const std::string problem = ProblemOf(reference.digest); !problem.empty()) add(problem);
      return;
    }
    for (const std::string& problem : ProblemsBelow(reference.digest, 0)) add(problem);
  }

 private:
  std::string ProblemOf(const std::string& digest) {
    auto found = there_.find(digest);
    if (found == there_.end()) {
      // Perhaps put since the blobs were listed: the store may be in use.
      const Status status = blobs_.Get(digest).status();
      if (status.code() == Code::kNotFound) return "blob " + digest + " is missing";
      found = there_.emplace(digest, status.ok()).first;
    }
    return found->second ? "" : "blob " + digest + " is damaged";
  }

  const std::set<std::string>& ProblemsBelow(const std::string& tree, int depth) {
    const auto [known, is_new] = below_.try_emplace(tree);
    std::set<std::string>& problems = known->second;  // a node: stays where it is
    if (!is_new) return problems;
    if (const std::string problem = ProblemOf(tree); !problem.empty()) {
      problems.insert(problem);
      return problems;
    }
    const Result<v1::Directory> record = ReadDirectory(blobs_, tree);
    if (!record.ok() || depth > kDepthMax) {
      problems.insert(record.ok() ? "tree " + tree + " is too deep" : record.status().message());
      return problems;
    }
    for (const auto& file : record->files()) {
      if (const std::string problem = ProblemOf(file.digest()); !problem.empty()) {
        problems.insert(problem);
      }
    }
    for (const auto& child : record->directories()) {
      const std::set<std::string>& more = ProblemsBelow(child.digest(), depth + 1);
      problems.insert(more.begin(), more.end());
    }
    return problems;
  }

  static constexpr int kDepthMax = 2'000;
  const BlobStore& blobs_;
  std::unordered_map<std::string, bool> there_;
  std::unordered_map<std::string, std::set<std::string>> below_;
};

}  // namespace

Status SqliteStore::ForEachReference(const std::function<void(const Reference&)>& visit,
                                     const std::function<Status(const Status&)>& on_damage) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(auto snapshot, sqlite::Transaction::Begin(*connection, false));
  Statement row = connection->Prepare("SELECT run, position FROM candidates");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) break;
    const Result<v1::Candidate> candidate =
        ReadCandidate(*connection, row.GetInt(0), row.GetInt(1));
    if (candidate.ok()) {
      VisitCandidate(*candidate, visit);
    } else {
      TASKMINT_RETURN_IF_ERROR(on_damage(candidate.status()));
    }
  }
  Statement run = connection->Prepare("SELECT id, job FROM runs");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, run.Step());
    if (!more) break;
    v1::Job job;
    const std::string owner = "run " + run.GetText(0);
    const Status status = UnpackRecord(run.GetText(1), owner, job);
    if (!status.ok()) {
      TASKMINT_RETURN_IF_ERROR(on_damage(status));
    } else if (!job.issues_digest().empty()) {
      visit({job.issues_digest(), false, owner, "issues"});
    }
  }
  Statement stage = connection->Prepare(
      "SELECT log_digest, stage, runs.id, position FROM stages JOIN runs ON runs.number = run "
      "WHERE log_digest != ''");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, stage.Step());
    if (!more) break;
    visit({stage.GetText(0), false,
           "candidate " + std::to_string(stage.GetInt(3)) + " of run " + stage.GetText(2),
           "log of stage " + stage.GetText(1)});
  }
  Statement layer =
      connection->Prepare("SELECT tree_digest, mount_path, key FROM environment_layers");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, layer.Step());
    if (!more) break;
    visit({layer.GetText(0), true, "environment " + layer.GetText(2), "layer " + layer.GetText(1)});
  }
  return OkStatus();
}

Status SqliteStore::CheckDatabase(std::vector<std::string>& problems) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  Statement line = connection->Prepare("PRAGMA integrity_check(100)");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, line.Step());
    if (!more) return OkStatus();
    if (line.GetText(0) != "ok") problems.push_back("tasks.sqlite: " + line.GetText(0));
  }
}

Result<CheckReport> SqliteStore::Check() {
  CheckReport report;
  const auto note = [&](const Status& status) {
    if (status.code() != Code::kDataLoss) return status;
    if (report.damaged.size() < kProblemsMax) report.damaged.push_back(status.message());
    return OkStatus();
  };
  if (const Status status = CheckDatabase(report.damaged); !status.ok()) {
    TASKMINT_RETURN_IF_ERROR(note(status));
  }
  if (const Status status = CheckTrajectories(report); !status.ok()) {
    TASKMINT_RETURN_IF_ERROR(note(status));
  }
  std::unordered_map<std::string, bool> there;
  Status failure;
  TASKMINT_RETURN_IF_ERROR(blobs_.ForEach([&](const BlobStore::BlobOnDisk& blob) {
    if (!failure.ok()) return;
    const Status status = blobs_.Get(blob.digest).status();
    if (status.code() == Code::kNotFound) return;
    there[blob.digest] = status.ok();
    ++report.blobs;
    report.blob_bytes += static_cast<int64_t>(blob.disk_bytes);
    if (!status.ok()) failure = note(status);
  }));
  TASKMINT_RETURN_IF_ERROR(failure);
  ReferenceChecker checker(blobs_, std::move(there));
  const Status status = ForEachReference(
      [&](const Reference& reference) { checker.Check(reference, report.missing); }, note);
  if (!status.ok()) TASKMINT_RETURN_IF_ERROR(note(status));
  return report;
}

Result<CollectReport> SqliteStore::Collect() {
  if (pool_.access() != sqlite::Access::kReadWrite) {
    return Status(Code::kFailedPrecondition, Boundary::kStore, folder_ + " is open for reading");
  }
  TASKMINT_RETURN_IF_ERROR(lock_.Upgrade());
  CollectReport report;
  const Status status = CollectLocked(report);
  TASKMINT_RETURN_IF_ERROR(lock_.Downgrade());
  TASKMINT_RETURN_IF_ERROR(status);
  return report;
}

Status SqliteStore::CollectLocked(CollectReport& report) {
  std::unordered_set<std::string> trees;
  std::unordered_set<std::string> files;
  Status status;
  TASKMINT_RETURN_IF_ERROR(ForEachReference(
      [&](const Reference& reference) {
        if (!reference.is_tree) {
          files.insert(reference.digest);
        } else if (status.ok()) {
          status = blobs_.ReachableFromTree(reference.digest, trees, files)
                       .WithContext("nothing was removed, because " + reference.owner +
                                    " cannot be read whole");
        }
      },
      [](const Status& damage) { return damage; }));
  TASKMINT_RETURN_IF_ERROR(status);

  const int64_t modified_ms_max = clock_.NowMs() - kAgeMsMin;
  std::vector<BlobStore::BlobOnDisk> dead;
  TASKMINT_RETURN_IF_ERROR(blobs_.ForEach([&](const BlobStore::BlobOnDisk& blob) {
    const bool needed = trees.contains(blob.digest) || files.contains(blob.digest);
    if (!needed && blob.modified_ms < modified_ms_max) dead.push_back(blob);
  }));
  for (const BlobStore::BlobOnDisk& blob : dead) {
    TASKMINT_RETURN_IF_ERROR(blobs_.Remove(blob.digest));
    ++report.blobs_removed;
    report.bytes_removed += static_cast<int64_t>(blob.disk_bytes);
  }
  TASKMINT_ASSIGN_OR_RETURN(report.temporary_files_removed, blobs_.RemoveTemporaryFiles());
  TASKMINT_RETURN_IF_ERROR(EmptyCache(cache_folder(), report));
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  return connection->Execute("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace taskmint::datasets
