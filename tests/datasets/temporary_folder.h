// A folder of the test's own, removed at the end.
#ifndef TASKMINT_TESTS_DATASETS_TEMPORARY_FOLDER_H_
#define TASKMINT_TESTS_DATASETS_TEMPORARY_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace taskmint::datasets {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "taskmint-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_TEMPORARY_FOLDER_H_
