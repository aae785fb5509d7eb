// Folders as exports write them: whole or not at all.
#ifndef TASKMINT_DATASETS_FOLDER_WRITING_H_
#define TASKMINT_DATASETS_FOLDER_WRITING_H_

#include <string>
#include <string_view>

#include "datasets/exported_task.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// Writes `folder` to `path`, below a folder that exists: first beside it under another name, then
// renamed; what was at `path` is replaced. Files 0644 or 0755, folders 0755, whatever the umask.
// Layers are hard links to their archives where the file system has them, else copies. After an
// error nothing new is left. Errors of the store boundary as OsError has them.
Status WriteTaskFolder(const TaskFolder& folder, const std::string& path);

// One file in the same way; what was there is replaced.
Status WriteFileWhole(const std::string& path, std::string_view bytes);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_FOLDER_WRITING_H_
