// Damaged versions of a Python fix.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_MUTANTS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_MUTANTS_H_

#include <cstdint>
#include <stop_token>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Mutants. Opens one sandbox, and none when no source file differs.
Result<std::vector<AlteredSolution>> MutatePython(sandbox::SandboxHost& sandboxes,
                                                  const FileTree& parent_tree,
                                                  const FileTree& gold_tree, uint64_t seed,
                                                  int64_t mutants_max, std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_MUTANTS_H_
