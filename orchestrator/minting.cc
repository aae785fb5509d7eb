#include "orchestrator/minting.h"

#include <filesystem>
#include <optional>

#include "datasets/repository_settings.h"
#include "environments/repository/candidate.h"
#include "environments/repository/cpp/installation.h"
#include "environments/repository/git_repository.h"
#include "environments/repository/python/sources.h"
#include "environments/repository/source_import.h"
#include "orchestrator/run_context.h"
#include "orchestrator/stages/stages.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using environments::GitRepository;
using environments::LanguageDriver;

// A source that can be read, and the run of a request over it.
struct OpenedSource {
  environments::ImportedSource source;
  std::unique_ptr<GitRepository> repository;
  v1::Job job;
  std::string run_id;
};

Result<OpenedSource> OpenSource(environments::ImportedSource source, const std::string& name,
                                const v1::Job& job) {
  OpenedSource opened;
  if (!name.empty()) source.name = name;
  TASKMINT_ASSIGN_OR_RETURN(opened.repository, GitRepository::Open(source.repository_path));
  TASKMINT_ASSIGN_OR_RETURN(std::string head, opened.repository->Head());
  opened.job = job;
  opened.job.set_source(source.name);
  opened.job.set_head_commit(std::move(head));
  opened.run_id = RunId(opened.job);
  opened.source = std::move(source);
  return opened;
}

Result<bool> IsUnfinished(datasets::Store& store, const std::string& run_id, int64_t tasks_max) {
  TASKMINT_ASSIGN_OR_RETURN(const auto run, store.FindRun(run_id));
  if (!run) return false;
  TASKMINT_ASSIGN_OR_RETURN(const auto states, store.CandidateStates(run_id));
  const FrontierView view = JudgeFrontier(states, tasks_max, 0);
  return view.progress.decided < view.progress.candidates && !view.goal_reached;
}

// Imports what the request names. What was fetched earlier is kept as long as its run goes on: a
// new HEAD would begin another one.
Result<OpenedSource> ImportAndOpen(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                   const MintRequest& request, const v1::Job& job,
                                   MintListener& listener, std::stop_token stop) {
  const std::string& source = request.job.source();
  const std::string folder =
      fs::absolute(fs::path(store.cache_folder()) / "sources" / Sha256Hex(source)).string();
  if (auto earlier = environments::FindImported(source, folder)) {
    Result<OpenedSource> opened = OpenSource(*std::move(earlier), request.source_name, job);
    if (opened.ok()) {
      TASKMINT_ASSIGN_OR_RETURN(const bool unfinished,
                                IsUnfinished(store, opened->run_id, request.tasks_max));
      if (unfinished) return opened;
    }
  }
  TASKMINT_ASSIGN_OR_RETURN(environments::ImportedSource imported,
                            environments::ImportSource(sandboxes, source, folder, stop));
  if (!imported.warning.empty()) listener.OnNotice(imported.name, imported.warning);
  return OpenSource(std::move(imported), request.source_name, job);
}

Result<const LanguageDriver*> DetectDriver(GitRepository& repository, const v1::Job& job) {
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                            repository.ReadPaths(job.head_commit(), {}));
  std::string known;
  for (const LanguageDriver* driver : environments::Drivers()) {
    if (driver->Detect(paths)) return driver;
    known += (known.empty() ? "" : ", ") + std::string(driver->language());
  }
  return Status(Code::kFailedPrecondition, Boundary::kConfig,
                "no driver for this repository: " + job.source() + " at " +
                    job.head_commit().substr(0, 12) + " is of no language known here (" + known +
                    ")");
}

// Without the driver's tools every candidate would be rejected for the machine's fault.
Status CheckTools(const LanguageDriver& driver) {
  if (driver.language() == "cpp") return environments::CheckCppTools();
  if (driver.language() != "python") return OkStatus();
  return environments::CheckPythonTools();
}

std::string CategoryName(v1::Category category) {
  return category == v1::CATEGORY_CODE ? "code" : std::to_string(category);
}

std::vector<v1::Candidate> MakeCandidates(
    const RunContext& context, const std::vector<environments::CandidateCommit>& commits) {
  std::vector<v1::Candidate> candidates;
  for (const environments::CandidateCommit& commit : commits) {
    v1::Candidate& candidate = candidates.emplace_back();
    candidate.set_job_id(context.run_id);
    candidate.set_position(static_cast<int64_t>(candidates.size()) - 1);
    candidate.set_id(DigestBuilder()
                         .Add(CategoryName(context.job.category()))
                         .Add(context.source.name)
                         .Add(commit.sha)
                         .Hex());
    candidate.set_commit(commit.sha);
    candidate.set_state(v1::Candidate::STATE_PENDING);
    v1::Task& task = *candidate.mutable_task();
    task.set_category(context.job.category());
    task.set_language(std::string(context.driver.language()));
    task.mutable_provenance()->set_source(context.source.name);
    task.mutable_provenance()->set_commit(commit.sha);
    task.mutable_provenance()->set_parent_commit(commit.parent_sha);
  }
  return candidates;
}

// What the taskmint.toml at HEAD says for the commits that have none of their own.
Result<v1::RepositorySettings> ReadHeadSettings(GitRepository& repository,
                                                const std::string& head_commit) {
  const std::string name = std::string("HEAD's ") + datasets::kSettingsFile;
  const auto text =
      repository.ReadTopFile(head_commit, datasets::kSettingsFile, datasets::kSettingsBytesMax);
  if (!text.ok()) return text.status().WithContext("reading " + name);
  if (!*text) return v1::RepositorySettings();
  Result<v1::RepositorySettings> settings = datasets::ParseRepositorySettings(**text, name);
  if (settings.ok()) return settings;
  return Status(settings.status().code(), settings.status().boundary(),
                settings.status().message() + "; mend it and commit, or mine a branch without it");
}

// Writes the run with its candidates, unless it exists.
Status BeginRun(RunContext& context, GitRepository& repository, const Pipeline& pipeline,
                MintListener& listener, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto existing, context.store.FindRun(context.run_id));
  if (existing) return context.store.ReopenWithoutVerdict(context.run_id);
  environments::CandidateQuery query;
  query.seed = context.job.seed();
  query.since_s = context.job.since_s();
  query.until_s = context.job.until_s();
  const auto progress = [&listener](int64_t looked_at, int64_t commits) {
    listener.OnSearch(looked_at, commits);
  };
  TASKMINT_ASSIGN_OR_RETURN(const auto commits,
                            environments::FindCandidates(repository, context.driver, query,
                                                         context.issues, progress, stop));
  if (commits.empty()) {
    const bool dated = query.since_s != 0 || query.until_s != 0;
    return Status(Code::kNotFound, Boundary::kConfig,
                  "no candidates in " + context.job.source() + ": no commit " +
                      (dated ? "between the given dates " : "") +
                      "changes both source and tests (" + std::string(context.driver.language()) +
                      ")");
  }
  const std::vector<v1::Candidate> candidates = MakeCandidates(context, commits);
  std::vector<datasets::StageJob> jobs;
  for (const v1::Candidate& candidate : candidates) {
    const std::string& stage = pipeline.front().name;
    jobs.push_back({StageJobId(context.run_id, candidate.position(), stage), context.run_id,
                    candidate.position(), stage});
  }
  return context.store.CreateRun(context.run_id, context.job, candidates, jobs);
}

Status Summarise(datasets::Store& store, MintSummary& summary) {
  TASKMINT_ASSIGN_OR_RETURN(const auto states, store.CandidateStates(summary.run_id));
  summary.candidates = static_cast<int64_t>(states.size());
  for (const auto& state : states) {
    if (state.state != v1::Candidate::STATE_PENDING) ++summary.decided;
    if (state.state == v1::Candidate::STATE_KEPT) summary.tasks.push_back(state.task_id);
    if (state.state == v1::Candidate::STATE_SURPLUS) ++summary.surplus;
    if (state.state != v1::Candidate::STATE_REJECTED) continue;
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate candidate,
                              store.GetCandidate(summary.run_id, state.position));
    ++summary.rejected[candidate.reason().substr(0, candidate.reason().find(':'))];
  }
  return OkStatus();
}

}  // namespace

std::string ShownSource(const std::string& source) {
  const size_t scheme = source.find("://");
  if (scheme == std::string::npos) {
    std::error_code error;
    const fs::path path = fs::weakly_canonical(source, error);
    return Printable(error ? source : path.string());
  }
  const size_t host = scheme + 3;
  const size_t at = source.substr(host, source.find('/', host) - host).rfind('@');
  return Printable(at == std::string::npos ? source
                                           : source.substr(0, host) + source.substr(host + at + 1));
}

std::string RunId(const v1::Job& job) { return Sha256Hex(SerializeDeterministic(job)); }

Result<MintSummary> MintSource(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                               const MintRequest& request, MintListener& listener,
                               std::stop_token stop) {
  const SystemClock clock;
  const int64_t begin_ms = clock.MonotonicMs();
  v1::Job job = request.job;
  TASKMINT_ASSIGN_OR_RETURN(sandbox::BaseLayer base, sandbox::ReadBaseLayer());
  job.set_base_digest(base.package_list_digest);
  std::vector<environments::IssueRecord> issues;
  if (!request.issues_text.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(issues, environments::ParseIssues(request.issues_text));
    TASKMINT_ASSIGN_OR_RETURN(std::string digest, store.blobs().Put(request.issues_text));
    job.set_issues_digest(std::move(digest));
  }
  TASKMINT_ASSIGN_OR_RETURN(OpenedSource opened,
                            ImportAndOpen(store, sandboxes, request, job, listener, stop));
  TASKMINT_ASSIGN_OR_RETURN(const LanguageDriver* driver,
                            DetectDriver(*opened.repository, opened.job));

  TASKMINT_ASSIGN_OR_RETURN(v1::RepositorySettings head_settings,
                            ReadHeadSettings(*opened.repository, opened.job.head_commit()));

  MintSummary summary;
  summary.run_id = opened.run_id;
  summary.source = opened.source.name;
  RunContext context{store,
                     sandboxes,
                     *driver,
                     std::move(opened.source),
                     std::move(opened.job),
                     summary.run_id,
                     std::move(issues),
                     std::move(base),
                     std::move(head_settings),
                     ProposalShelf(static_cast<size_t>(2 * request.jobs + 2)),
                     {},
                     0};
  context.repository_names_hosts = request.repository_names_hosts;
  if (!request.issues_text.empty() && context.issues.empty()) {
    listener.OnNotice(summary.source,
                      "--issues holds no issue and no pull request: prompts are commit messages");
  }
  const Pipeline pipeline = CodePipeline(context);
  TASKMINT_RETURN_IF_ERROR(BeginRun(context, *opened.repository, pipeline, listener, stop));
  TASKMINT_ASSIGN_OR_RETURN(const auto states, store.CandidateStates(summary.run_id));
  const RunProgress progress = JudgeFrontier(states, request.tasks_max, 0).progress;
  if (progress.decided < progress.candidates) TASKMINT_RETURN_IF_ERROR(CheckTools(*driver));
  listener.OnBegin(summary.source, progress);
  SchedulerSettings settings;
  settings.jobs = request.jobs;
  settings.tasks_max = request.tasks_max;
  summary.end = RunStages(store, summary.run_id, pipeline, settings, listener, stop);
  TASKMINT_RETURN_IF_ERROR(Summarise(store, summary));
  summary.kept_before = context.kept_before;
  summary.wall_ms = clock.MonotonicMs() - begin_ms;
  return summary;
}

}  // namespace taskmint::orchestrator
