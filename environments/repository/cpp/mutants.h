// Damaged solutions and doctored tests of C and C++, made by a tokenizer inside a sandbox.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_MUTANTS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_MUTANTS_H_

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::Mutants. They need not compile: the verdict on one that does not says so.
Result<std::vector<AlteredSolution>> MutateCpp(sandbox::SandboxHost& sandboxes,
                                               const FileTree& parent_tree,
                                               const FileTree& gold_tree, uint64_t seed,
                                               int64_t mutants_max, std::stop_token stop);

// See LanguageDriver::Doctor. Tests of GoogleTest, Catch2 and doctest whose case is written out
// once in the overlay's test files; programs as a whole where one is named like its source, and
// that asserts with assert() or Unity. No copy stands beside such a program.
Result<DoctoredTests> DoctorCppTests(sandbox::SandboxHost& sandboxes, const FileTree& overlay,
                                     const std::vector<std::string>& targets,
                                     const std::vector<std::string>& others, uint64_t draw,
                                     std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_MUTANTS_H_
