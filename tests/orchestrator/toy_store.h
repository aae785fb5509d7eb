// The store that make_toy_store left for this build's tests: two kept tasks, two rejected commits.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_TOY_STORE_H_
#define TASKMINT_TESTS_ORCHESTRATOR_TOY_STORE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "datasets/store.h"
#include "proto/base/clock.h"
#include "tests/environments/git_fixture.h"

namespace taskmint::orchestrator {

// A copy of it, which the test may write to.
class ToyStore {
 public:
  ToyStore() {
    namespace fs = std::filesystem;
    fs::copy(TASKMINT_TOY_STORE "/store", path(), fs::copy_options::recursive);
    fs::remove_all(path() + "/cache");  // a copy of it would not be trusted
  }
  std::string path() const { return folder_.path() + "/store"; }
  static std::string repository() { return TASKMINT_TOY_STORE "/toy"; }

  std::unique_ptr<datasets::Store> Open(const Clock& clock) const {
    auto store = datasets::Store::Open(path(), datasets::OpenMode::kReadWrite, clock);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    return std::move(store).value();
  }

 private:
  environments::TemporaryFolder folder_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_TOY_STORE_H_
