// Brings any source that a user may name to a repository that libgit2 reads.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_SOURCE_IMPORT_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_SOURCE_IMPORT_H_

#include <optional>
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
  // What the user should know, one line; empty when there is nothing to say.
  std::string warning;
};

// kUrl for http:// and https://; kBundle for a regular file; kLocalRepository for a folder.
// INVALID_ARGUMENT for other schemes, with what to do instead; NOT_FOUND for no such path.
Result<SourceKind> ClassifySource(const std::string& source);

// A local repository, shallow or not, is used where it lies. A bundle or a URL is cloned by the git
// program inside a sandbox into a folder of its own in `folder`, named by its state: a changed
// bundle and a URL with a new HEAD are cloned again, beside the earlier clone, which others may be
// reading. Where a URL cannot be reached, the earlier clone is used, with a warning. Any number of
// processes may import into one folder. Network: the URL's host alone, through the proxy. Errors
// (environment): UNAVAILABLE, NOT_FOUND, FAILED_PRECONDITION (sha256, empty), each saying what to
// do.
Result<ImportedSource> ImportSource(sandbox::SandboxHost& host, const std::string& source,
                                    const std::string& folder, std::stop_token stop);

// The clone of a URL that ImportSource made in `folder` and that was used last, without a look at
// the network; nothing when there is none, and for other sources.
std::optional<ImportedSource> FindImported(const std::string& source, const std::string& folder);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_SOURCE_IMPORT_H_
