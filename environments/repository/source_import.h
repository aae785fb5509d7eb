// Brings any source that a user may name to a repository that libgit2 reads.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_SOURCE_IMPORT_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_SOURCE_IMPORT_H_

#include <stop_token>
#include <string>

#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::environments {

enum class SourceKind { kLocalRepository, kBundle, kUrl };

// A source that can be read.
struct ImportedSource {
  SourceKind kind = SourceKind::kLocalRepository;
  // Host path for GitRepository::Open.
  std::string repository_path;
  // Portable name: origin's or the URL without credentials, else the last path component.
  std::string name;
};

// kUrl for http:// and https://; kBundle for a regular file; kLocalRepository for a folder.
// INVALID_ARGUMENT for other schemes, with what to do instead; NOT_FOUND for no such path.
Result<SourceKind> ClassifySource(const std::string& source);

// A local repository, shallow or not, is used where it lies. A bundle or a URL is cloned by the git
// program inside a sandbox into `folder`/source.git (kept if already complete; removed on failure).
// Network: the URL's host alone, through the proxy. Errors (environment): UNAVAILABLE "no network",
// NOT_FOUND, FAILED_PRECONDITION (sha256, empty), each saying what to do.
Result<ImportedSource> ImportSource(sandbox::SandboxHost& host, const std::string& source,
                                    const std::string& folder, std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_SOURCE_IMPORT_H_
