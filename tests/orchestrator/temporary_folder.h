// A folder that goes away with its scope.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_TEMPORARY_FOLDER_H_
#define TASKMINT_TESTS_ORCHESTRATOR_TEMPORARY_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "proto/base/check.h"

namespace taskmint {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "taskmint-test-XXXXXX").string();
    TASKMINT_CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace taskmint

#endif  // TASKMINT_TESTS_ORCHESTRATOR_TEMPORARY_FOLDER_H_
