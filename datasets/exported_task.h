// A kept task on its way out of a store: what is written, and the digests over it.
#ifndef TASKMINT_DATASETS_EXPORTED_TASK_H_
#define TASKMINT_DATASETS_EXPORTED_TASK_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"
#include "proto/task.pb.h"

namespace taskmint::datasets {

// A task with everything that it refers to, but for the layers.
struct ExportedTask {
  v1::Candidate kept;
  FileTree parent_tree;
  FileTree overlay;
  std::string gold_patch;
  // From the parent to the overlay and without the removed paths: a unified diff.
  std::string test_patch;
  // The portable grader: "grade.py" and its data.
  FileTree grader;
  // Contents of the evidence's logs, by digest.
  std::map<std::string, std::string> logs;
  // Whether the written folder goes through a proof before it is kept.
  bool proven = false;
};

// The archive of a layer, which the tasks of one environment share.
struct LayerArchive {
  // Inside a sandbox, e.g. "/venv".
  std::string mount_path;
  // On this machine.
  std::string host_path;
  // Of the archive's bytes.
  std::string digest;
  // "layer-12ab34cd56ef.tar.gz", after the tree's digest.
  std::string name;
};
std::string LayerArchiveName(const std::string& tree_digest);

// The folder of a task as it is to be written.
struct TaskFolder {
  FileTree files;
  // By relative path; hard links where the file system has them.
  std::map<std::string, LayerArchive> layers;
};

// Digests of all files of a folder by relative path.
using FileDigests = std::map<std::string, std::string>;
FileDigests DigestsOf(const TaskFolder& folder);

// Harbor's content hash: SHA-256 over "path \0 digest \n" of task.toml, instruction.md, README.md
// and what lies below environment, tests, solution and steps, in the order of the paths, without
// what its default ignore list names (byte code, editors' leftovers).
std::string HarborContentHash(const FileDigests& digests);
// The same over every file but `except`, Taskmint's own included.
std::string FolderHash(const FileDigests& digests, std::string_view except);

// How a task is called outside. Parts are of [a-z0-9._-] and begin with a letter or digit.
struct PortableNames {
  // "python-attrs" and "attrs", from the source's URL; "local" where it is a folder's name.
  std::string owner;
  std::string repository;
  // "attrs-3fa94c21b0de": repository and the beginning of the id.
  std::string folder;
  // "python-attrs__attrs-3fa94c21b0de".
  std::string instance;
};
PortableNames NamesOf(const v1::Task& task);
// `text` in the letters above; "x" where nothing is left of it.
std::string PortableName(std::string_view text);

// Where the side files lie in a task's folder: what neither format has a field for.
constexpr const char* kSideRecord = "taskmint/task.json";
constexpr const char* kSideOverlay = "taskmint/overlay.tar.gz";
constexpr const char* kSideLogs = "taskmint/logs.tar.gz";
// Adds them. The record holds the task and its evidence as JSON; with the archives of the trees and
// the patch it is enough to import the same tuple.
Status AddSideFiles(const ExportedTask& task, FileTree& files);

// One entry of a dataset.
struct DatasetEntry {
  // "org/attrs-3fa94c21b0de".
  std::string name;
  // HarborContentHash.
  std::string digest;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_EXPORTED_TASK_H_
