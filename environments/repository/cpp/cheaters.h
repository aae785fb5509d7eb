// Attempts to pass without solving, for C and C++.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_CHEATERS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_CHEATERS_H_

#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Cheaters. They plant files (CMake's and CTest's, compilers, headers of the
// frameworks and of the library, precompiled headers), edit and delete tests, and put code into a
// file that the fix changes: it exits early, writes or rewrites reports, empties the frameworks'
// macros, lets expectations fail by their look, replaces exit(), overwrites test programs, attacks
// what runs them, and takes an installed release of the library.
std::vector<AlteredSolution> CppCheaters(const CheaterMaterial& material);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_CHEATERS_H_
