// A small Python repository with a history that has a candidate of every kind that tests need.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_TOY_REPOSITORY_H_
#define TASKMINT_TESTS_ORCHESTRATOR_TOY_REPOSITORY_H_

#include <string>

#include "tests/environments/git_fixture.h"

namespace taskmint::orchestrator {

// The pyproject.toml of a package `toy`.
inline constexpr const char* kToyProject = R"([project]
name = "toy"
version = "1.0"
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
packages = ["toy"]
)";

struct ToyRepository {
  environments::WorkTree tree;
  // Commits that become tasks.
  std::string addition;
  std::string division;
  // Says nothing.
  std::string silent;
  // Its test passes before, too.
  std::string idle;

  ToyRepository();
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_TOY_REPOSITORY_H_
