// Tasks as SWE-bench has them: dataset rows, and the folders of its task repositories.
#ifndef TASKMINT_DATASETS_SWEBENCH_EXPORT_H_
#define TASKMINT_DATASETS_SWEBENCH_EXPORT_H_

#include <string>
#include <string_view>
#include <vector>

#include "datasets/exported_task.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// Holds FolderHash of everything but itself.
constexpr const char* kSwebenchFolderHash = "taskmint/folder_hash";

struct SwebenchOptions {
  // Which the tasks belong to: "taskmint/attrs".
  std::string dataset;
  std::string split;
  // How the grader prints a test's id: one word.
  std::string (*line_id)(std::string_view id) = nullptr;
};

struct SwebenchTask {
  // The folder tasks/<instance id>: task.yaml, tests.json, problem_statement.md, gold.patch,
  // test.patch, eval.sh, Dockerfile with what it adds, and Taskmint's side files.
  TaskFolder folder;
  // The same task as one line of JSON with a newline: every key of every row, FAIL_TO_PASS and
  // PASS_TO_PASS as strings that hold JSON lists.
  std::string row;
};

// Error-to-pass tests count as FAIL_TO_PASS; the side files keep them apart. eval.sh carries the
// grader and the hidden tests itself, puts them beside the repository when the answer stands, and
// prints results that pytest's log parser reads between SWE-bench's markers. The image has the
// repository at /work, which /testbed leads to, with one commit and no history.
// FAILED_PRECONDITION (environment) says why a task cannot be written: a patch that is no UTF-8.
Result<SwebenchTask> MakeSwebenchTask(const ExportedTask& task,
                                      const std::vector<LayerArchive>& layers,
                                      const SwebenchOptions& options);

// sweb.yaml: the dataset and its split.
std::string SwebenchConfig(const SwebenchOptions& options);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_SWEBENCH_EXPORT_H_
