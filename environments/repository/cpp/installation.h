// C and C++ environments: the base's compilers, and the parent's objects in a compiler cache.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_INSTALLATION_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_INSTALLATION_H_

#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Resolve and Build. Nothing is fetched: a repository is built with what is in
// its tree and in the base. The layer holds the sources that the cache is filled from where it is
// unpacked (see DerivedFiles), so that it is equal however often it is built.
Result<EnvironmentRecipe> ResolveCpp(const DriverContext& context, const FileTree& tree,
                                     const v1::RepositorySettings& settings);
Result<std::vector<BuiltLayer>> BuildCpp(const EnvironmentRecipe& recipe, const FileTree& tree);

// OK when this machine can build; else FAILED_PRECONDITION (config) with what to install.
Status CheckCppTools();
// Whether the base has ccache.
bool BaseHasCcache();

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_INSTALLATION_H_
