// `--repos FILE`: many sources for one run of the command.
#ifndef TASKMINT_DATASETS_REPOSITORY_LIST_H_
#define TASKMINT_DATASETS_REPOSITORY_LIST_H_

#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::datasets {

// One source a line (a path, URL or bundle), in the file's order, each once. Blank lines, and lines
// whose first character is '#', are passed over; so is what follows white space and '#'. White
// space around a source, a byte order mark and Windows line ends are dropped. `name` stands in
// messages. INVALID_ARGUMENT (config), with the line, for control characters, bytes that are not
// UTF-8, lines beyond 4,096 bytes, a source that starts with '-', files beyond 1 MiB, and when no
// source is left.
Result<std::vector<std::string>> ParseRepositoryList(std::string_view bytes,
                                                     const std::string& name);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_REPOSITORY_LIST_H_
