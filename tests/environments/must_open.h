#ifndef TASKMINT_TESTS_ENVIRONMENTS_MUST_OPEN_H_
#define TASKMINT_TESTS_ENVIRONMENTS_MUST_OPEN_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "environments/repository/git_repository.h"

namespace taskmint::environments {

// The repository at `path`; null after a failed expectation.
inline std::unique_ptr<GitRepository> MustOpen(const std::string& path) {
  auto opened = GitRepository::Open(path);
  EXPECT_TRUE(opened.ok()) << opened.status().ToString();
  return opened.ok() ? std::move(opened).value() : nullptr;
}

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_MUST_OPEN_H_
