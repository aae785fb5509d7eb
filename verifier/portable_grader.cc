#include "verifier/portable_grader.h"

#include <nlohmann/json.hpp>

#include "environments/repository/language_driver.h"
#include "proto/base/check.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"
#include "sandbox/sandbox.h"

#define TASKMINT_PORTABLE(name)                             \
  extern "C" const char taskmint_portable_##name##_begin[]; \
  extern "C" const char taskmint_portable_##name##_end[];

TASKMINT_PORTABLE(grade)
TASKMINT_PORTABLE(__init__)
TASKMINT_PORTABLE(containment)
TASKMINT_PORTABLE(judging)
TASKMINT_PORTABLE(junit)
TASKMINT_PORTABLE(runs)
TASKMINT_PORTABLE(sentinels)
TASKMINT_PORTABLE(state)
TASKMINT_PORTABLE(steering)

namespace taskmint::verifier {
namespace {

using environments::PortableParts;
using nlohmann::json;

constexpr char kSpec[] = "spec.json";
constexpr char kOverlayFile[] = "overlay.json";
constexpr int64_t kRunWallMsMax = 600'000;
constexpr int64_t kStateFilesMax = 200'000;
constexpr size_t kReadBytesMax = size_t{1} << 30;

const std::pair<const char*, std::string_view> kPrograms[] = {
#define TASKMINT_PROGRAM(path, name)                                                             \
  {                                                                                              \
    path, {                                                                                      \
      taskmint_portable_##name##_begin,                                                          \
          static_cast<size_t>(taskmint_portable_##name##_end - taskmint_portable_##name##_begin) \
    }                                                                                            \
  }
    TASKMINT_PROGRAM("grade.py", grade),
    TASKMINT_PROGRAM("grader/__init__.py", __init__),
    TASKMINT_PROGRAM("grader/containment.py", containment),
    TASKMINT_PROGRAM("grader/judging.py", judging),
    TASKMINT_PROGRAM("grader/junit.py", junit),
    TASKMINT_PROGRAM("grader/runs.py", runs),
    TASKMINT_PROGRAM("grader/sentinels.py", sentinels),
    TASKMINT_PROGRAM("grader/state.py", state),
    TASKMINT_PROGRAM("grader/steering.py", steering),
#undef TASKMINT_PROGRAM
};

template <typename Bytes>
json BytesList(const Bytes& values) {
  json list = json::array();
  for (const std::string& value : values) list.push_back(JsonOfBytes(value));
  return list;
}

const char* KindName(FileEntry::Kind kind) {
  switch (kind) {
    case FileEntry::Kind::kExecutable:
      return "executable";
    case FileEntry::Kind::kSymlink:
      return "link";
    default:
      return "file";
  }
}

json SpecOf(const v1::Task& task, const PortableParts& parts) {
  const v1::RepositoryEnvironment& environment = task.environment().repository();
  const v1::TestVerifier& expected = task.verifier().tests();
  const v1::RunLimits& limits = environment.limits();
  const sandbox::Limits usual;
  const auto or_usual = [](int64_t value, int64_t other) { return value > 0 ? value : other; };
  std::map<std::string, std::string> variables = {
      {"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}, {"HOME", "/tmp"}};
  for (const auto& [name, value] : parts.variables) variables[name] = value;
  json spec;
  spec["task"] = task.id();
  spec["driver"] = environment.driver();
  spec["work_path"] = environment.work_path().empty() ? "/work" : environment.work_path();
  spec["expected"] = {{"fail_to_pass", BytesList(expected.fail_to_pass())},
                      {"error_to_pass", BytesList(expected.error_to_pass())},
                      {"pass_to_pass", BytesList(expected.pass_to_pass())},
                      {"unjudged", BytesList(expected.unjudged())},
                      {"graded_files", BytesList(expected.graded_files())}};
  spec["removed_paths"] = BytesList(expected.removed_paths());
  spec["variables"] = variables;
  spec["wall_ms_max"] = or_usual(limits.wall_ms_max(), kRunWallMsMax);
  spec["files_max"] = kStateFilesMax;
  spec["bytes_max"] = or_usual(limits.disk_bytes_max(), usual.disk_bytes_max);
  spec["limits"] = {{"processes_max", or_usual(limits.processes_max(), usual.processes_max)},
                    {"file_bytes_max", usual.file_bytes_max},
                    {"open_files_max", usual.open_files_max},
                    {"memory_bytes_max", nullptr}};
  // The usual limit is the container's affair: address space is no measure of memory.
  if (limits.memory_bytes_max() > 0 && limits.memory_bytes_max() != usual.memory_bytes_max) {
    spec["limits"]["memory_bytes_max"] = limits.memory_bytes_max();
  }
  return spec;
}

std::string OverlayText(const FileTree& overlay) {
  json rows = json::array();
  for (const auto& [path, entry] : overlay.files()) {
    rows.push_back({{"path", JsonOfBytes(path)},
                    {"kind", KindName(entry.kind)},
                    {"content", JsonOfBytes(*entry.content)}});
  }
  return DumpJson({{"files", std::move(rows)}}, true) + "\n";
}

Status Bad(const std::string& file, const std::string& what) {
  return {Code::kInvalidArgument, Boundary::kVerifier, "tests/" + file + ": " + what};
}

Result<json> ReadJsonFile(const FileTree& tests, const std::string& name) {
  const FileEntry* entry = tests.Find(name);
  if (entry == nullptr || entry->kind == FileEntry::Kind::kSymlink) return Bad(name, "is missing");
  if (entry->content->size() > kReadBytesMax) return Bad(name, "is larger than 1 GiB");
  auto value = ParseJson(*entry->content);
  if (!value.ok()) return Bad(name, value.status().message());
  if (!value->is_object()) return Bad(name, "is no JSON object");
  return value;
}

// Appends the strings of a list; `utf8`: nothing but text may stand there.
template <typename List>
Status ReadList(const json& object, const char* key, bool utf8, List* list) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_array()) {
    return Bad(kSpec, std::string("no list ") + key);
  }
  for (const json& value : object[key]) {
    auto bytes = BytesOfJson(value);
    if (!bytes.ok() || (utf8 && !value.is_string())) {
      return Bad(kSpec, std::string("not a name in ") + key);
    }
    list->Add(std::move(bytes).value());
  }
  return OkStatus();
}

Result<FileTree> ReadOverlay(const FileTree& tests) {
  TASKMINT_ASSIGN_OR_RETURN(const json rows, ReadJsonFile(tests, kOverlayFile));
  FileTree overlay;
  if (!rows.contains("files") || !rows["files"].is_array()) {
    return Bad(kOverlayFile, "no list files");
  }
  for (const json& row : rows["files"]) {
    const std::string kind = StringOr(row, "kind", "");
    FileEntry entry;
    if (kind == "executable") entry.kind = FileEntry::Kind::kExecutable;
    if (kind == "link") entry.kind = FileEntry::Kind::kSymlink;
    if (kind != KindName(entry.kind)) return Bad(kOverlayFile, "a file is of no known kind");
    if (!row.contains("path") || !row.contains("content")) {
      return Bad(kOverlayFile, "a file lacks its path or content");
    }
    const auto path = BytesOfJson(row["path"]);
    auto content = BytesOfJson(row["content"]);
    if (!path.ok() || !content.ok()) {
      return Bad(kOverlayFile, (path.ok() ? content : path).status().message());
    }
    entry.content = std::make_shared<const std::string>(std::move(content).value());
    if (overlay.Contains(*path) || !overlay.Set(*path, std::move(entry)).ok()) {
      return Bad(kOverlayFile, "not a path, or one twice: '" + Printable(*path) + "'");
    }
  }
  return overlay;
}

// Code points that Python's str.split() splits at beyond ASCII.
bool IsWideSpace(uint32_t code) {
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

}  // namespace

Result<FileTree> PortableGraderFiles(const v1::Task& task, const FileTree& overlay,
                                     const FileTree& parent_tree) {
  if (!task.environment().has_repository() || !task.verifier().has_tests()) {
    return Status(Code::kFailedPrecondition, Boundary::kVerifier,
                  "a task of this kind cannot be graded outside of taskmint");
  }
  const v1::RepositoryEnvironment& environment = task.environment().repository();
  const auto* driver = environments::FindDriver(environment.driver());
  if (driver == nullptr) {
    return Status(Code::kFailedPrecondition, Boundary::kVerifier,
                  "no driver for '" + environment.driver() + "' in this version");
  }
  FileTree reference = parent_tree;
  reference.Overlay(overlay);
  TASKMINT_ASSIGN_OR_RETURN(PortableParts parts, driver->Portable(environment, reference));
  FileTree files;
  for (const auto& [path, text] : kPrograms) {
    TASKMINT_RETURN_IF_ERROR(files.Set(path, RegularFile(std::string(text))));
  }
  for (const auto& [path, entry] : parts.programs.files()) {
    TASKMINT_RETURN_IF_ERROR(files.Set("grader/programs/" + path, entry));
  }
  const std::pair<const char*, std::string> data[] = {
      {kSpec, DumpJson(SpecOf(task, parts), true) + "\n"},
      {"language.json", parts.data_json + "\n"},
      {kOverlayFile, OverlayText(overlay)}};
  for (const auto& [path, text] : data) {
    TASKMINT_RETURN_IF_ERROR(files.Set(path, RegularFile(text)));
  }
  return files;
}

std::string PytestLineId(std::string_view id) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string word;
  for (size_t i = 0; i < id.size();) {
    const auto first = static_cast<uint8_t>(id[i]);
    size_t length = 1;
    uint32_t code = first;
    if (first >= 0xC0) {
      length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
      code = first & (0x7FU >> length);
      length = std::min(length, id.size() - i);
      for (size_t j = 1; j < length; ++j) {
        code = (code << 6) | (static_cast<uint8_t>(id[i + j]) & 0x3F);
      }
    }
    const bool control = code <= 0x20 || (code >= 0x7F && code <= 0xA0);
    for (size_t j = i; j < i + length; ++j) {
      const auto byte = static_cast<uint8_t>(id[j]);
      if (control || IsWideSpace(code)) {
        word += '%';
        word += kDigits[byte >> 4];
        word += kDigits[byte & 15];
      } else {
        word += id[j];
      }
    }
    i += length;
  }
  return word;
}

Result<PortableTask> ReadPortableGrader(const FileTree& tests) {
  TASKMINT_ASSIGN_OR_RETURN(const json spec, ReadJsonFile(tests, kSpec));
  PortableTask task;
  const json expected = spec.contains("expected") ? spec["expected"] : json();
  v1::TestVerifier& said = task.expected;
  TASKMINT_RETURN_IF_ERROR(ReadList(expected, "fail_to_pass", true, said.mutable_fail_to_pass()));
  TASKMINT_RETURN_IF_ERROR(ReadList(expected, "error_to_pass", true, said.mutable_error_to_pass()));
  TASKMINT_RETURN_IF_ERROR(ReadList(expected, "pass_to_pass", true, said.mutable_pass_to_pass()));
  TASKMINT_RETURN_IF_ERROR(ReadList(expected, "unjudged", true, said.mutable_unjudged()));
  TASKMINT_RETURN_IF_ERROR(ReadList(expected, "graded_files", true, said.mutable_graded_files()));
  TASKMINT_RETURN_IF_ERROR(ReadList(spec, "removed_paths", false, said.mutable_removed_paths()));
  task.driver = StringOr(spec, "driver", "");
  task.work_path = StringOr(spec, "work_path", "");
  task.wall_ms_max = IntOr(spec, "wall_ms_max", 0);
  if (task.work_path.empty() || task.work_path[0] != '/') return Bad(kSpec, "no work_path");
  if (task.wall_ms_max <= 0) return Bad(kSpec, "no wall_ms_max");
  TASKMINT_ASSIGN_OR_RETURN(task.overlay, ReadOverlay(tests));
  return task;
}

}  // namespace taskmint::verifier
