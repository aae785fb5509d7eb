// Tests of known outcome that the verifier builds into the test programs.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SENTINELS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SENTINELS_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// See LanguageDriver::DrawSentinels. A sentinel's content is no source but what the session makes
// one of: the cases, in the framework of the graded files that it names as models. They are
// compiled behind what the first model that is part of a program has before its own tests, by that
// model's command, and linked into its program: so they meet every macro, static object and
// replaced function that the real tests meet. Files without a framework (GoogleTest, Catch2,
// doctest) get programs of their own, built like the model's.
std::vector<SentinelFile> DrawCppSentinels(const FileTree& overlay,
                                           const std::vector<std::string>& graded_files,
                                           uint64_t draw);

// For build.py: {path, class, form, models, cases, text}.
nlohmann::json ReadSentinel(const std::string& path, const std::string& content);

// "gtest", "catch", "doctest" or "plain": what the tests of a file are written with, told by its
// macros; Catch2 and doctest, which share names, by what the overlay's files include.
std::string FrameworkOfTests(const std::string& text, const FileTree& overlay);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SENTINELS_H_
