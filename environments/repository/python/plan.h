// What a repository says of its package and of what its tests need.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PLAN_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PLAN_H_

#include <nlohmann/json_fwd.hpp>
#include <stop_token>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// Reads the metadata in a sandbox of its own, without network, indexes or their credentials: a
// setup.py runs in the process that prints the plan, and may print another. Every field that is
// promised here has its type, paths lie below the tree, whatever setup.py does:
//   name, version, compiled_backend: strings; requires, tests, roots, modules, extensions, notes:
//   lists of strings; entry_points: {group: {name: target}}, all strings.
// FAILED_PRECONDITION (environment) when there is no such plan; errors of the sandbox boundary when
// the machine failed.
Result<nlohmann::json> ReadPythonPlan(const DriverContext& context, const FileTree& tree,
                                      std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PLAN_H_
