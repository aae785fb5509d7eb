// From a source to tasks: one run of the pipeline over one repository.
#ifndef TASKMINT_ORCHESTRATOR_MINTING_H_
#define TASKMINT_ORCHESTRATOR_MINTING_H_

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "orchestrator/scheduler.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

struct MintRequest {
  // As the user asked; the source's portable name, head_commit, issues_digest and base_digest are
  // filled in here.
  v1::Job job;
  // GitHub's JSON; empty: none.
  std::string issues_text;
  int64_t tasks_max = 0;
  int64_t jobs = 1;
  // Portable name of the source instead of the one found out; empty: that one.
  std::string source_name = {};
  // Whether the repository's taskmint.toml may name hosts that the build may reach. Not where the
  // repository comes from somebody else.
  bool repository_names_hosts = true;
};

// How a run stands.
struct MintSummary {
  std::string run_id;
  std::string source;
  int64_t candidates = 0;
  int64_t decided = 0;
  // Ids of the kept tasks, by position.
  std::vector<std::string> tasks;
  // How many of them this invocation found kept by another run, with the prompt of that run.
  int64_t kept_before = 0;
  // Rejected ones by the first word of their reason.
  std::map<std::string, int64_t> rejected;
  // Valid, but beyond tasks_max.
  int64_t surplus = 0;
  // Of this invocation.
  int64_t wall_ms = 0;
  // OK; CANCELLED when stopped; else why the run ended early.
  Status end;
};

// Told when the candidates are known, and then of each one.
class MintListener : public RunListener {
 public:
  // Something that the user should know of the source.
  virtual void OnNotice(const std::string& source, const std::string& message) = 0;
  // Called for each commit that was looked at, before OnBegin.
  virtual void OnSearch(int64_t looked_at, int64_t commits) = 0;
  virtual void OnBegin(const std::string& source, const RunProgress& progress) = 0;
};

// Imports the source, finds (or goes on with) the run of this request, and runs its stages. The
// run's id is the digest of the request with the source's portable name, HEAD and the base, so that
// the same request goes on where it stopped, and is another run once the base has changed; a URL is
// fetched again only when it has no unfinished run. Errors are those met before any stage ran: no
// repository, no driver, no candidates (NOT_FOUND of the config boundary).
Result<MintSummary> MintSource(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                               const MintRequest& request, MintListener& listener,
                               std::stop_token stop);

// `source` as it may be shown: a URL without user name and password, a path made absolute.
std::string ShownSource(const std::string& source);

// Id of a run.
std::string RunId(const v1::Job& job);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_MINTING_H_
