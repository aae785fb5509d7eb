// The language driver for Python: pytest in a virtual environment made by uv.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PYTHON_DRIVER_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PYTHON_DRIVER_H_

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// Static lifetime.
const LanguageDriver& Python();

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_PYTHON_DRIVER_H_
