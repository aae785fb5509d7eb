// A folder that nobody vouches for, on disk or in an archive: what is imported.
#ifndef TASKMINT_DATASETS_FOREIGN_FOLDER_H_
#define TASKMINT_DATASETS_FOREIGN_FOLDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::datasets {

// Paths are relative to the folder, '/'-separated, as keys of a FileTree; "" is the folder itself.
// No link below it is ever followed, nor anything but regular files read. Errors (config):
// NOT_FOUND, and INVALID_ARGUMENT with what is wrong with the path named. Not thread-safe.
class ForeignFolder {
 public:
  // A folder, or a tar archive of one (gzip-compressed or not). An archive is held in memory, and
  // the folder that is alone at its root counts as the folder. INVALID_ARGUMENT (config) where
  // `path` is neither.
  static Result<std::unique_ptr<ForeignFolder>> Open(const std::string& path);
  virtual ~ForeignFolder() = default;

  // Last component of what was opened, without ".tar.gz": for people.
  virtual std::string name() const = 0;
  // Names of the sub-folders of `path`, sorted; more than 100,000 are refused.
  virtual Result<std::vector<std::string>> Folders(const std::string& path) = 0;
  // Paths, relative to `path`, of all regular files below, sorted. A link or a special file is
  // INVALID_ARGUMENT, and so are more than 10,000 files or 16 levels.
  virtual Result<std::vector<std::string>> Files(const std::string& path) = 0;
  virtual bool HasFile(const std::string& path) = 0;
  // All bytes of a regular file.
  virtual Result<std::shared_ptr<const std::string>> Read(const std::string& path,
                                                          uint64_t bytes_max) = 0;
  // SHA-256 of a regular file of at most `bytes_max`; computed once for hard links.
  virtual Result<std::string> Digest(const std::string& path, uint64_t bytes_max) = 0;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_FOREIGN_FOLDER_H_
