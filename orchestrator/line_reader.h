// Lines of standard input, read so that a stop ends the waiting.
#ifndef TASKMINT_ORCHESTRATOR_LINE_READER_H_
#define TASKMINT_ORCHESTRATOR_LINE_READER_H_

#include <optional>
#include <stop_token>
#include <string>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// Of one descriptor, which stays the caller's. Not thread-safe.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  // The next line without its newline; nothing at the end of the input. CANCELLED by the token,
  // INVALID_ARGUMENT (config) for a line of more than 4 MiB.
  Result<std::optional<std::string>> Next(std::stop_token stop);

 private:
  int descriptor_;
  std::string read_;
  bool ended_ = false;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_LINE_READER_H_
