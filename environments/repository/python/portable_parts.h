// What of the Python driver travels inside an exported task.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PORTABLE_PARTS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PORTABLE_PARTS_H_

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::PortableParts.
PortableParts PythonPortableParts(const v1::RepositoryEnvironment& environment,
                                  const FileTree& reference);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PORTABLE_PARTS_H_
