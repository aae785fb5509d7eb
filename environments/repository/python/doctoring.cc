#include "environments/repository/python/doctoring.h"

#include <nlohmann/json.hpp>
#include <set>

#include "environments/repository/python/build_sandbox.h"
#include "environments/repository/python/scripts.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr size_t kDoctoredFileBytesMax = 4 << 20;
constexpr int64_t kDoctoringMsMax = 120'000;

// The files that hold the tests, by path. Those of another encoding than UTF-8 pass through the
// script as if they were Latin-1; what it writes into them is ASCII.
json FilesOf(const FileTree& overlay, const std::vector<std::string>& targets,
             const std::vector<std::string>& others) {
  json files = json::object();
  for (const auto* ids : {&targets, &others}) {
    for (const std::string& id : *ids) {
      const std::string path = id.substr(0, id.find("::"));
      const FileEntry* entry = files.contains(path) ? nullptr : overlay.Find(path);
      if (entry == nullptr || entry->kind == FileEntry::Kind::kSymlink) continue;
      if (entry->content->size() > kDoctoredFileBytesMax) continue;
      files[path] = IsUtf8(*entry->content) ? *entry->content : Utf8OfLatin1(*entry->content);
    }
  }
  return files;
}

std::vector<std::string> IdsOf(const json& answer, const char* name) {
  std::vector<std::string> ids;
  if (!answer.contains(name) || !answer[name].is_array()) return ids;
  for (const json& id : answer[name]) {
    if (id.is_string()) ids.push_back(id.get<std::string>());
  }
  return ids;
}

}  // namespace

Result<DoctoredTests> DoctorPythonTests(sandbox::SandboxHost& sandboxes, const FileTree& overlay,
                                        const std::vector<std::string>& targets,
                                        const std::vector<std::string>& others, uint64_t draw,
                                        std::stop_token stop) {
  const json files = FilesOf(overlay, targets, others);
  if (files.empty()) return DoctoredTests();
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open({}, stop));
  FileTree scripts;
  for (const char* name : {"doctor.py", "expectations.py"}) {
    TASKMINT_RETURN_IF_ERROR(scripts.Set(name, RegularFile(std::string(PythonScript(name)))));
  }
  TASKMINT_RETURN_IF_ERROR(opened->Put(scripts, kScriptFolder, 0));
  sandbox::Command command;
  command.argv = {kBasePython, "-I", std::string(kScriptFolder) + "/doctor.py"};
  command.input =
      DumpJson({{"files", files}, {"targets", targets}, {"others", others}, {"draw", draw}});
  command.wall_ms_max = kDoctoringMsMax;
  command.output_bytes_max = 256 << 20;
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult run, opened->Run(command, stop));
  const auto answer = ParseJson(run.output);
  if (!answer.ok() || !answer->contains("files") || !(*answer)["files"].is_object()) {
    return Status(Code::kInternal, Boundary::kSandbox,
                  "doctoring the tests ended with " + std::to_string(run.exit_code) + ": " +
                      CutMiddle(Printable(run.error_output), 1000));
  }
  DoctoredTests doctored;
  doctored.failing = IdsOf(*answer, "failing");
  doctored.untouched = IdsOf(*answer, "untouched");
  doctored.copies = IdsOf(*answer, "copies");
  for (const auto& [path, text] : (*answer)["files"].items()) {
    const FileEntry* before = overlay.Find(path);
    if (before == nullptr || !text.is_string()) continue;
    const auto changed = text.get<std::string>();
    FileEntry entry = RegularFile(IsUtf8(*before->content) ? changed : Latin1OfUtf8(changed));
    entry.kind = before->kind;
    TASKMINT_RETURN_IF_ERROR(doctored.files.Set(path, std::move(entry)));
  }
  return doctored;
}

}  // namespace taskmint::environments
