// Files that the user names on the command line.
#ifndef TASKMINT_ORCHESTRATOR_HOST_FILE_H_
#define TASKMINT_ORCHESTRATOR_HOST_FILE_H_

#include <string>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// A regular file's bytes, at most 256 MiB. INVALID_ARGUMENT (config) says what is wrong with it.
Result<std::string> ReadHostFile(const std::string& path);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_HOST_FILE_H_
