// Python environments: found out once, built from files whose digests are known.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_INSTALLATION_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_INSTALLATION_H_

#include <cstdint>
#include <stop_token>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Resolve and Build. Below context.cache_path: python/files/SHA256/NAME (what
// the index served, checked) and python/starts/REPOSITORY/PACKAGES (which packages start under this
// base, found out while that repository's code could run). Thread-safe; files appear by rename.
Result<EnvironmentRecipe> ResolvePython(const DriverContext& context, const FileTree& tree,
                                        int64_t commit_time_s,
                                        const v1::RepositorySettings& settings,
                                        std::stop_token stop);
Result<std::vector<BuiltLayer>> BuildPython(const DriverContext& context,
                                            const EnvironmentRecipe& recipe, const FileTree& tree,
                                            const v1::RepositorySettings& settings,
                                            std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_INSTALLATION_H_
