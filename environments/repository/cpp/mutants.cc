#include "environments/repository/cpp/mutants.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "environments/repository/cpp/paths.h"
#include "environments/repository/cpp/scripts.h"
#include "environments/repository/python/sources.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr size_t kCodeFileBytesMax = 4 << 20;
constexpr size_t kCodeBytesMax = 32 << 20;
constexpr int64_t kScriptWallMsMax = 120'000;

// The text of a file, passed as Latin-1 where it is no UTF-8; nothing for what is no text.
std::optional<std::string> CodeTextOf(const FileEntry* entry) {
  if (entry == nullptr || entry->kind == FileEntry::Kind::kSymlink ||
      entry->content->size() > kCodeFileBytesMax) {
    return std::nullopt;
  }
  return IsUtf8(*entry->content) ? *entry->content : Utf8OfLatin1(*entry->content);
}

FileEntry Changed(const FileEntry* before, const std::string& text) {
  const bool utf8 = before == nullptr || IsUtf8(*before->content);
  FileEntry entry = RegularFile(utf8 ? text : Latin1OfUtf8(text));
  if (before != nullptr) entry.kind = before->kind;
  return entry;
}

json ChangedCode(const FileTree& parent, const FileTree& gold) {
  std::set<std::string> paths;
  for (const FileTree* tree : {&parent, &gold}) {
    for (const auto& [path, entry] : tree->files()) {
      if (IsCppCode(path) && CppRoleOf(path) == PathRole::kSource) paths.insert(path);
    }
  }
  json files = json::array();
  for (const std::string& path : paths) {
    const FileEntry* before = parent.Find(path);
    const FileEntry* after = gold.Find(path);
    if (before != nullptr && after != nullptr && *before == *after) continue;
    const auto old_text = CodeTextOf(before), new_text = CodeTextOf(after);
    if ((before != nullptr && !old_text) || (after != nullptr && !new_text)) continue;
    files.push_back({{"path", path},
                     {"parent", old_text ? json(*old_text) : json()},
                     {"gold", new_text ? json(*new_text) : json()}});
  }
  return files;
}

// The answer of the last of `scripts`, which stands behind the others; it has the field `field`.
Result<json> Ask(sandbox::SandboxHost& sandboxes, const std::vector<const char*>& scripts,
                 const json& request, const char* field, std::stop_token stop) {
  const char* const script = scripts.back();
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open({}, stop));
  FileTree files;
  std::string text;
  for (const char* const name : scripts) text.append(CppScript(name)).append("\n\n");
  TASKMINT_RETURN_IF_ERROR(files.Set(script, RegularFile(text)));
  TASKMINT_RETURN_IF_ERROR(opened->Put(files, "/tmp", 0));
  sandbox::Command command;
  command.argv = {kBasePython, "-I", std::string("/tmp/") + script};
  command.input = DumpJson(request);
  command.wall_ms_max = kScriptWallMsMax;
  command.output_bytes_max = 256 << 20;
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult run,
                            opened->Run(command, std::move(stop)));
  auto answer = ParseJson(run.output);
  if (!answer.ok() || !answer->is_object() || !answer->contains(field)) {
    return Status(Code::kInternal, Boundary::kSandbox,
                  std::string(script) + " ended with " + std::to_string(run.exit_code) + ": " +
                      CutMiddle(Printable(run.error_output), 1000));
  }
  return answer;
}

std::vector<std::string> Strings(const json& answer, const char* name) {
  std::vector<std::string> strings;
  if (!answer.contains(name) || !answer[name].is_array()) return strings;
  for (const json& one : answer[name]) {
    if (one.is_string()) strings.push_back(one.get<std::string>());
  }
  return strings;
}

}  // namespace

Result<std::vector<AlteredSolution>> MutateCpp(sandbox::SandboxHost& sandboxes,
                                               const FileTree& parent_tree,
                                               const FileTree& gold_tree, uint64_t seed,
                                               int64_t mutants_max, std::stop_token stop) {
  const json files = ChangedCode(parent_tree, gold_tree);
  std::vector<AlteredSolution> mutants;
  if (files.empty()) return mutants;
  TASKMINT_ASSIGN_OR_RETURN(const json answer,
                            Ask(sandboxes, {"tokens.py", "mutate.py"},
                                {{"files", files}, {"seed", seed}, {"mutants_max", mutants_max}},
                                "mutants", std::move(stop)));
  for (const json& made : answer["mutants"]) {
    const std::string path = StringOr(made, "path", "");
    AlteredSolution mutant{Printable(StringOr(made, "name", "")), gold_tree};
    if (made.contains("text") && made["text"].is_null()) {
      mutant.tree.Remove(path);
    } else {
      TASKMINT_RETURN_IF_ERROR(
          mutant.tree.Set(path, Changed(gold_tree.Find(path), StringOr(made, "text", ""))));
    }
    mutants.push_back(std::move(mutant));
  }
  return mutants;
}

Result<DoctoredTests> DoctorCppTests(sandbox::SandboxHost& sandboxes, const FileTree& overlay,
                                     const std::vector<std::string>& targets,
                                     const std::vector<std::string>& others, uint64_t draw,
                                     std::stop_token stop) {
  // Ids do not name files: the script looks for the cases in all of them.
  json files = json::object();
  size_t bytes = 0;
  for (const auto& [path, entry] : overlay.files()) {
    if (!IsCppTestFile(path) || !IsUtf8(path)) continue;
    const auto text = CodeTextOf(&entry);
    if (!text || bytes + text->size() > kCodeBytesMax) continue;
    bytes += text->size();
    files[path] = *text;
  }
  if (files.empty()) return DoctoredTests();
  TASKMINT_ASSIGN_OR_RETURN(
      const json answer,
      Ask(sandboxes, {"tokens.py", "expectations.py", "doctor.py"},
          {{"files", files}, {"targets", targets}, {"others", others}, {"draw", draw}}, "files",
          std::move(stop)));
  DoctoredTests doctored;
  doctored.failing = Strings(answer, "failing");
  doctored.untouched = Strings(answer, "untouched");
  doctored.copies = Strings(answer, "copies");
  for (const auto& [path, text] : answer["files"].items()) {
    const FileEntry* before = overlay.Find(path);
    if (before == nullptr || !text.is_string()) continue;
    TASKMINT_RETURN_IF_ERROR(doctored.files.Set(path, Changed(before, text.get<std::string>())));
  }
  return doctored;
}

}  // namespace taskmint::environments
