#include "environments/repository/python/mutants.h"

#include <nlohmann/json.hpp>
#include <set>

#include "environments/repository/python/build_sandbox.h"
#include "environments/repository/python/scripts.h"
#include "environments/repository/python/steering.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr size_t kMutatedFileBytesMax = 4 << 20;
constexpr int64_t kMutationMsMax = 120'000;

// Null where the file is absent; nothing when it cannot be mutated as text.
std::optional<json> SourceOrNull(const FileTree& tree, const std::string& path) {
  const FileEntry* entry = tree.Find(path);
  if (entry == nullptr) return json(nullptr);
  if (entry->kind == FileEntry::Kind::kSymlink || entry->content->size() > kMutatedFileBytesMax ||
      !IsUtf8(*entry->content)) {
    return std::nullopt;
  }
  return json(*entry->content);
}

json ChangedSources(const FileTree& parent, const FileTree& gold) {
  std::set<std::string> paths;
  for (const FileTree* tree : {&parent, &gold}) {
    for (const auto& [path, entry] : tree->files()) {
      if (std::string_view(path).ends_with(".py") && PythonRoleOf(path) == PathRole::kSource) {
        paths.insert(path);
      }
    }
  }
  json files = json::array();
  for (const std::string& path : paths) {
    const FileEntry* before = parent.Find(path);
    const FileEntry* after = gold.Find(path);
    if (before != nullptr && after != nullptr && *before->content == *after->content) continue;
    const std::optional<json> old_text = SourceOrNull(parent, path),
                              new_text = SourceOrNull(gold, path);
    if (old_text && new_text) {
      files.push_back({{"path", path}, {"parent", *old_text}, {"gold", *new_text}});
    }
  }
  return files;
}

}  // namespace

Result<std::vector<AlteredSolution>> MutatePython(sandbox::SandboxHost& sandboxes,
                                                  const FileTree& parent_tree,
                                                  const FileTree& gold_tree, uint64_t seed,
                                                  int64_t mutants_max, std::stop_token stop) {
  const json files = ChangedSources(parent_tree, gold_tree);
  if (files.empty()) return std::vector<AlteredSolution>();
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open({}, stop));
  sandbox::Command command;
  command.argv = {kBasePython, "-I", "-c", std::string(PythonScript("mutate.py"))};
  command.input = DumpJson({{"files", files}, {"seed", seed}, {"mutants_max", mutants_max}});
  command.wall_ms_max = kMutationMsMax;
  command.output_bytes_max = 256 << 20;
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult run, opened->Run(command, stop));
  auto answer = ParseJson(run.output);
  if (!answer.ok() || !answer->contains("mutants") || !(*answer)["mutants"].is_array()) {
    return Status(Code::kInternal, Boundary::kEnvironment,
                  "mutating the fix ended with " + std::to_string(run.exit_code) + ": " +
                      CutMiddle(Printable(run.error_output), 1000));
  }
  std::vector<AlteredSolution> mutants;
  for (const json& made : (*answer)["mutants"]) {
    const std::string path = StringOr(made, "path", "");
    AlteredSolution mutant{Printable(StringOr(made, "name", "")), gold_tree};
    if (made.contains("text") && made["text"].is_null()) {
      mutant.tree.Remove(path);
    } else {
      const FileEntry* old = gold_tree.Find(path);
      FileEntry entry = RegularFile(StringOr(made, "text", ""));
      if (old != nullptr) entry.kind = old->kind;
      TASKMINT_RETURN_IF_ERROR(mutant.tree.Set(path, std::move(entry)));
    }
    mutants.push_back(std::move(mutant));
  }
  return mutants;
}

}  // namespace taskmint::environments
