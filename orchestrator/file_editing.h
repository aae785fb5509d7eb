// What a person did to a file in an editor, as the call of a tool.
#ifndef TASKMINT_ORCHESTRATOR_FILE_EDITING_H_
#define TASKMINT_ORCHESTRATOR_FILE_EDITING_H_

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// A passage that stands exactly once in a text, and what takes its place.
struct Passage {
  std::string old_text;
  std::string new_text;
};

// The lines around all that differs between two texts, as few as stand only once in `before`.
// `before` is not empty, and differs from `after`.
Passage ChangedPassage(std::string_view before, std::string_view after);

// Opens $VISUAL, $EDITOR or vi on a file of its own with `content` and waits for its end; the
// content then. The file's name ends like `path`, so that editors know the language. Errors of the
// config boundary.
Result<std::string> EditOutside(const std::string& path, const std::string& content);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_FILE_EDITING_H_
