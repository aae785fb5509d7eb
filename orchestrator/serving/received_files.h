// Files that a server sends, written below a folder of the client's.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_RECEIVED_FILES_H_
#define TASKMINT_ORCHESTRATOR_SERVING_RECEIVED_FILES_H_

#include <cstdint>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "orchestrator/export_folder.h"
#include "proto/base/status.h"
#include "proto/services.pb.h"

namespace taskmint::orchestrator {

// Written to OUT.partial, and renamed at the end: `out` is whole or absent. The server may be
// hostile: a path that leads out of the folder, or names a file twice, is refused, and nothing it
// sends is run or followed. Errors: INVALID_ARGUMENT (config) for an `out` that is not empty and an
// OUT.partial that no export made, UNAVAILABLE (config) while another process writes there,
// DATA_LOSS (config) for what no server sends, RESOURCE_EXHAUSTED (store) for a full disk.
class ReceivedFiles {
 public:
  static Result<ReceivedFiles> Begin(const std::string& out);
  // Removes what was not ended.
  ~ReceivedFiles();
  ReceivedFiles(ReceivedFiles&& other) noexcept;
  ReceivedFiles& operator=(ReceivedFiles&&) = delete;

  Status Take(const v1::ExportChunk& chunk);
  // Gives the folder its name, unless no file came; returns the report, the last message's.
  Result<std::string> End();

 private:
  explicit ReceivedFiles(std::unique_ptr<ExportFolder> folder);
  Status OpenFile(const v1::ExportChunk& chunk);
  Status CloseFile();

  std::unique_ptr<ExportFolder> folder_;
  std::string partial_;
  std::set<std::string> paths_;
  std::ofstream file_;
  std::string report_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_RECEIVED_FILES_H_
