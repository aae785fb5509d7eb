// Tasks as Harbor directories: task.toml, instruction.md, environment, tests, solution.
#ifndef TASKMINT_DATASETS_HARBOR_EXPORT_H_
#define TASKMINT_DATASETS_HARBOR_EXPORT_H_

#include <string>
#include <utility>
#include <vector>

#include "datasets/exported_task.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// The key of [metadata.taskmint] in task.toml that holds FolderHash of everything but task.toml:
// task.toml is part of Harbor's content hash, and so this file vouches for the side files too.
constexpr const char* kHarborFolderHashKey = "folder_hash";

// A task's directory. The verifier is separate and without network: its image is built from tests/
// (grader, hidden tests, layers), and of the agent's container it gets the work folder alone. The
// agent's image holds neither tests nor solution nor history. `org` is the first part of the task's
// name. FAILED_PRECONDITION (environment) says why a task cannot be written.
Result<TaskFolder> HarborTask(const ExportedTask& task, const std::vector<LayerArchive>& layers,
                              const std::string& org);

// What dataset.toml says. `files` are (name at the top of the dataset, digest).
struct HarborDataset {
  std::string name;  // "org/name"
  std::string description;
  std::vector<DatasetEntry> tasks;
  std::vector<std::pair<std::string, std::string>> files;
};
std::string HarborDatasetToml(const HarborDataset& dataset);
// SHA-256 of the tasks' sorted digests joined by commas, and, where there are files, a semicolon
// and the sorted "name:digest" joined by commas.
std::string HarborDatasetHash(const HarborDataset& dataset);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_HARBOR_EXPORT_H_
