// The git program inside a sandbox: clones of URLs and bundles, as files.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_CLONE_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_CLONE_H_

#include <stop_token>
#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::environments {

// `url`, http or https, as a place alone: without user, password and fragment.
std::string PlaceOfUrl(const std::string& url);

// A bare clone of the branch that `url`'s HEAD names. `name` is the URL for messages, without
// secrets. Network: the URL's host alone, through the proxy. Errors (environment): UNAVAILABLE,
// NOT_FOUND, FAILED_PRECONDITION, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, each saying what to do;
// CANCELLED.
Result<FileTree> CloneUrl(sandbox::SandboxHost& host, const std::string& url,
                          const std::string& name, std::stop_token stop);

// SHA of `url`'s HEAD, empty when it has none. Network and errors as CloneUrl's.
Result<std::string> HeadOfUrl(sandbox::SandboxHost& host, const std::string& url,
                              const std::string& name, std::stop_token stop);

// A bare clone of every branch of a bundle on the host. Same errors; INVALID_ARGUMENT for a file
// that is no bundle.
Result<FileTree> CloneBundle(sandbox::SandboxHost& host, const std::string& path,
                             const std::string& name, std::stop_token stop);

// The history of HEAD and of every branch of a repository on the host, as a bundle's bytes.
// FAILED_PRECONDITION with git's words where it cannot be bundled (it is empty, a part of it lies
// elsewhere), RESOURCE_EXHAUSTED beyond bytes_max.
Result<std::string> BundleRepository(sandbox::SandboxHost& host, const std::string& path,
                                     const std::string& name, int64_t bytes_max,
                                     std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_GIT_CLONE_H_
