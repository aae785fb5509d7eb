// Where packages come from: read from the package managers' own settings.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SOURCES_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SOURCES_H_

#include <map>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/proxy.h"
#include "sandbox/sandbox.h"

namespace taskmint::environments {

struct PackageSources {
  // Index URLs, with credentials where the settings have them; the default index is missing when
  // no setting names it and `no_index` is false: uv's own applies.
  std::vector<std::string> index_urls;
  bool has_default_index = false;
  bool no_index = false;
  // Folders (paths inside) and URLs of pages that link to packages.
  std::vector<std::string> find_links;
  // Local indexes, folders and certificates, read-only.
  std::vector<sandbox::Mount> mounts;
  // SSL_CERT_FILE and the like.
  std::map<std::string, std::string> variables;
};

// Reads UV_* and PIP_* of `variables`, then pip's and uv's files below `home` and `etc`. Local
// paths and file:// URLs become mounts; those that do not exist are left out.
PackageSources ReadPackageSources(const std::map<std::string, std::string>& variables,
                                  const std::string& home, const std::string& etc = "/etc");

// The variables of this process that package managers read.
std::map<std::string, std::string> PackageVariables();

// The uv program: $TASKMINT_UV, beside the binary (../libexec/taskmint/uv, uv, a build's
// tools/uv/bin/uv), PATH. FAILED_PRECONDITION (config) with what to do.
Result<std::string> FindUv();

// The index that uv takes where no setting names one, as its help (`uv pip install --help`) says.
// FAILED_PRECONDITION (config) where it does not.
Result<std::string> DefaultIndexIn(const std::string& uv_help);

// The base's interpreter; no other is used.
inline constexpr char kBasePython[] = "/usr/bin/python3";
// FAILED_PRECONDITION (config): it cannot be used, for the reason `why`.
Status NoBasePython(const std::string& why);

// OK when this machine has uv and an interpreter.
Status CheckPythonTools(const std::string& python = kBasePython);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_SOURCES_H_
