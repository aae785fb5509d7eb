// The language driver for C and C++: CMake and CTest with GoogleTest, Catch2 or doctest, or a given
// command.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_CPP_DRIVER_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_CPP_DRIVER_H_

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// Static lifetime.
const LanguageDriver& Cpp();

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_CPP_DRIVER_H_
