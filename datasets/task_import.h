// Reading back what harbor_export and swebench_export wrote, from anybody's hands.
#ifndef TASKMINT_DATASETS_TASK_IMPORT_H_
#define TASKMINT_DATASETS_TASK_IMPORT_H_

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/blob_store.h"
#include "datasets/foreign_folder.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::datasets {

enum class ExportFormat { kHarbor, kSwebench };
// "harbor", "swebench".
std::string ExportFormatName(ExportFormat format);

// One task in a folder that may hold many.
struct ForeignTaskPlace {
  std::string path;  // "" where the folder is the task
  ExportFormat format = ExportFormat::kHarbor;
  // "sha256:..." as dataset.toml has it; empty where there is none.
  std::string content_hash;
  // Why what is there is not taken, with its path; empty where it is a task.
  std::string refusal;
};

// The tasks of a folder: itself, or those below tasks/, sorted, with a refusal for what stands
// there and is none, or is not in a dataset.toml. INVALID_ARGUMENT (config) where it is no export
// of Taskmint's (says what is missing), where a dataset.toml cannot be read or names tasks that are
// not there.
Result<std::vector<ForeignTaskPlace>> FindForeignTasks(ForeignFolder& folder);

// Layers that were read in this process: the tree's digest by that of its archive.
using KnownLayers = std::map<std::string, std::string>;

// Reads one task, recomputes every digest (of the folder's files, of trees, layers and patch, the
// task's id), and puts what it refers to into `blobs`. Returns it as a kept candidate with its
// evidence, and one more row of the gate "import" that says that all of it was measured elsewhere;
// position and run are the caller's. INVALID_ARGUMENT (config) names the file and what differs;
// other errors are the store's.
Result<v1::Candidate> ReadForeignTask(ForeignFolder& folder, const ForeignTaskPlace& place,
                                      BlobStore& blobs, KnownLayers& known);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_TASK_IMPORT_H_
