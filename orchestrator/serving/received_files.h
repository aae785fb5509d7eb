// Files that a server sends, written below a folder of the client's.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_RECEIVED_FILES_H_
#define TASKMINT_ORCHESTRATOR_SERVING_RECEIVED_FILES_H_

#include <cstdint>
#include <fstream>
#include <set>
#include <string>

#include "proto/base/status.h"
#include "proto/services.pb.h"

namespace taskmint::orchestrator {

// Written to OUT.partial, and renamed at the end: `out` is whole or absent. The server may be
// hostile: a path that leads out of the folder, or names a file twice, is refused, and nothing it
// sends is run or followed. Errors: INVALID_ARGUMENT (config) for an `out` that is not empty,
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
  ReceivedFiles(std::string out, std::string partial)
      : out_(std::move(out)), partial_(std::move(partial)) {}
  Status OpenFile(const v1::ExportChunk& chunk);
  Status CloseFile();

  std::string out_;
  std::string partial_;
  std::set<std::string> paths_;
  std::ofstream file_;
  std::string report_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_RECEIVED_FILES_H_
