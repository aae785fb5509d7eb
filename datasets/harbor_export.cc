#include "datasets/harbor_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "datasets/archive.h"
#include "datasets/container_files.h"
#include "datasets/toml_text.h"
#include "proto/base/digest.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr double kAgentSecondsMax = 3'600;
constexpr double kBuildSecondsMax = 1'800;
constexpr int64_t kStorageMbMin = 10'240;
// The run itself, its twin, what draws and parses; see the grader.
constexpr double kGradingRuns = 4;
constexpr double kGradingSecondsBeside = 120;

// What an agent's process may have left where a reward is looked for goes first.
constexpr const char* kTestScript =
    R"(#!/bin/sh
# Grades /work, as the agent left it, by the hidden tests beside this file.
rm -f /logs/verifier/reward.json /logs/verifier/reward.txt /tmp/rllm/reward.json
mkdir -p /logs/verifier
exec )";
constexpr const char* kTestScriptEnd =
    " /tests/grade.py --state /work --reward-dir /logs/verifier\n";

constexpr const char* kSolveScript =
    R"(#!/bin/sh
# The reference solution.
set -eu
cd /work
git apply --whitespace=nowarn "$(dirname "$0")/gold.patch"
)";

std::string Instruction(const v1::Task& task) {
  std::string prompt = task.prompt().text();
  while (prompt.ends_with('\n')) prompt.pop_back();
  return "Make this change to the repository in `/work`:\n\n" + prompt +
         "\n\n---\n\nThe repository stands as it was before the change, without its history, and "
         "what it needs is installed in `/venv`. There is no network. Your work is judged by tests "
         "that you cannot see; test files and settings of the test runner that you change or add "
         "do not count.\n";
}

json EnvironmentTable(const v1::RepositoryEnvironment& environment) {
  const v1::RunLimits& limits = environment.limits();
  return {{"network_mode", "no-network"},
          {"os", "linux"},
          {"workdir", environment.work_path()},
          {"build_timeout_sec", kBuildSecondsMax},
          {"cpus", 2},
          {"memory_mb", std::max<int64_t>(512, limits.memory_bytes_max() / kMebibyte)},
          {"storage_mb", std::max(kStorageMbMin, limits.disk_bytes_max() / kMebibyte)}};
}

// What Taskmint knows of the task, and the format has no field for; all of it is in the side files
// as well.
json MetadataTable(const ExportedTask& task, const std::string& folder_hash) {
  const v1::Task& record = task.kept.task();
  const v1::Base& base = record.environment().repository().base();
  return {{"id", record.id()},
          {"category", "code"},
          {"language", record.language()},
          {"source", record.provenance().source()},
          {"commit", record.provenance().commit()},
          {"parent_commit", record.provenance().parent_commit()},
          {"licence", record.licence().spdx_id()},
          {"pipeline", record.provenance().pipeline()},
          {"base", base.name()},
          {"base_digest", base.package_list_digest()},
          {"proven", task.proven},
          {kHarborFolderHashKey, "sha256:" + folder_hash}};
}

std::string TaskToml(const ExportedTask& task, const std::string& name,
                     const std::string& folder_hash) {
  const v1::Task& record = task.kept.task();
  const v1::RepositoryEnvironment& environment = record.environment().repository();
  const double run_s = static_cast<double>(environment.limits().wall_ms_max()) / 1'000;
  const std::string& prompt = record.prompt().text();
  json verifier_environment = EnvironmentTable(environment);
  const json document = {
      {"schema_version", "1.4"},
      {"artifacts", json::array({environment.work_path()})},
      {"task",
       {{"name", name},
        {"description", OneLine(prompt.substr(0, std::min<size_t>(prompt.find('\n'), 200)))},
        {"keywords", json::array({"code", record.language(), "taskmint"})}}},
      {"metadata", {{"taskmint", MetadataTable(task, folder_hash)}}},
      {"agent", {{"timeout_sec", kAgentSecondsMax}, {"network_mode", "no-network"}}},
      {"environment", EnvironmentTable(environment)},
      {"verifier",
       {{"timeout_sec", kGradingRuns * run_s + kGradingSecondsBeside},
        {"environment_mode", "separate"},
        {"network_mode", "no-network"},
        {"environment", std::move(verifier_environment)}}}};
  return WriteToml(document);
}

FileEntry Program(std::string text) {
  FileEntry entry = RegularFile(std::move(text));
  entry.kind = FileEntry::Kind::kExecutable;
  return entry;
}

Status AddContainers(const ExportedTask& task, const std::vector<LayerArchive>& layers,
                     TaskFolder& folder) {
  const v1::RepositoryEnvironment& environment = task.kept.task().environment().repository();
  TASKMINT_ASSIGN_OR_RETURN(const std::string image, BaseImageOf(environment.base()));
  ContainerPlan agent{image, {}, {}, true};
  ContainerPlan grader{
      image, {}, {"COPY . /tests/", "RUN mkdir -p " + environment.work_path()}, false};
  for (const LayerArchive& layer : layers) {
    agent.archives.emplace_back(layer.name, layer.mount_path);
    grader.archives.emplace_back(layer.name, layer.mount_path);
    folder.layers["environment/" + layer.name] = layer;
    folder.layers["tests/" + layer.name] = layer;
  }
  agent.archives.emplace_back("repo.tar.gz", environment.work_path());
  FileTree& files = folder.files;
  TASKMINT_ASSIGN_OR_RETURN(std::string repository, WriteArchive(task.parent_tree));
  TASKMINT_RETURN_IF_ERROR(
      files.Set("environment/repo.tar.gz", RegularFile(std::move(repository))));
  TASKMINT_RETURN_IF_ERROR(
      files.Set("environment/Dockerfile", RegularFile(DockerfileText(environment, agent))));
  return files.Set("tests/Dockerfile", RegularFile(DockerfileText(environment, grader)));
}

}  // namespace

Result<TaskFolder> HarborTask(const ExportedTask& task, const std::vector<LayerArchive>& layers,
                              const std::string& org) {
  TASKMINT_RETURN_IF_ERROR(CheckContainerEnvironment(task.kept.task().environment().repository()));
  TaskFolder folder;
  FileTree& files = folder.files;
  TASKMINT_RETURN_IF_ERROR(files.Set("instruction.md", RegularFile(Instruction(task.kept.task()))));
  TASKMINT_RETURN_IF_ERROR(AddContainers(task, layers, folder));
  for (const auto& [path, entry] : task.grader.files()) {
    TASKMINT_RETURN_IF_ERROR(files.Set("tests/" + path, entry));
  }
  TASKMINT_RETURN_IF_ERROR(files.Set(
      "tests/test.sh", Program(std::string(kTestScript) + kGraderInterpreter + kTestScriptEnd)));
  TASKMINT_RETURN_IF_ERROR(files.Set("solution/solve.sh", Program(kSolveScript)));
  TASKMINT_RETURN_IF_ERROR(files.Set("solution/gold.patch", RegularFile(task.gold_patch)));
  TASKMINT_RETURN_IF_ERROR(AddSideFiles(task, files));
  const std::string name = org + "/" + NamesOf(task.kept.task()).folder;
  const std::string hash = FolderHash(DigestsOf(folder), "task.toml");
  TASKMINT_RETURN_IF_ERROR(files.Set("task.toml", RegularFile(TaskToml(task, name, hash))));
  return folder;
}

std::string HarborDatasetToml(const HarborDataset& dataset) {
  json tasks = json::array();
  for (const DatasetEntry& task : dataset.tasks) {
    tasks.push_back({{"name", task.name}, {"digest", "sha256:" + task.digest}});
  }
  json files = json::array();
  for (const auto& [path, digest] : dataset.files) {
    files.push_back({{"path", path}, {"digest", "sha256:" + digest}});
  }
  json document = {{"dataset",
                    {{"name", dataset.name},
                     {"version", "1.0"},
                     {"description", dataset.description},
                     {"keywords", json::array({"code", "taskmint"})}}},
                   {"tasks", std::move(tasks)}};
  if (!files.empty()) document["files"] = std::move(files);
  return "# Dataset hash: sha256:" + HarborDatasetHash(dataset) + "\n" + WriteToml(document);
}

std::string HarborDatasetHash(const HarborDataset& dataset) {
  const auto joined = [](std::vector<std::string> parts) {
    std::sort(parts.begin(), parts.end());
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
    return text;
  };
  std::vector<std::string> tasks;
  for (const DatasetEntry& task : dataset.tasks) tasks.push_back(task.digest);
  std::string text = joined(std::move(tasks));
  if (!dataset.files.empty()) {
    std::vector<std::string> files;
    for (const auto& [path, digest] : dataset.files) {
      files.emplace_back(path).append(":").append(digest);
    }
    text += ";" + joined(std::move(files));
  }
  return Sha256Hex(text);
}

}  // namespace taskmint::datasets
