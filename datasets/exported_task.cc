#include "datasets/exported_task.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "datasets/archive.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kNameBytesMax = 60;

bool IsPublished(std::string_view path) {
  for (const std::string_view file : {"task.toml", "instruction.md", "README.md"}) {
    if (path == file) return true;
  }
  for (const std::string_view folder : {"environment/", "tests/", "solution/", "steps/"}) {
    if (path.starts_with(folder)) return true;
  }
  return false;
}

// Harbor's DEFAULT_IGNORES, which a .gitignore would replace; an export has none.
bool IsIgnored(std::string_view path) {
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == "__pycache__" && end < path.size()) return true;
    if (part == ".DS_Store" || part.ends_with(".pyc") || part.ends_with(".swp") ||
        part.ends_with(".swo") || part.ends_with("~")) {
      return true;
    }
    begin = end + 1;
  }
  return false;
}

std::string HashOver(const FileDigests& digests, bool (*counts)(std::string_view)) {
  std::string text;
  for (const auto& [path, digest] : digests) {
    if (counts(path)) text.append(path).append(1, '\0').append(digest).append(1, '\n');
  }
  return Sha256Hex(text);
}

// The last two parts of a URL's path.
std::pair<std::string, std::string> OwnerAndName(const std::string& source) {
  const size_t scheme = source.find("://");
  std::string path = scheme == std::string::npos ? source : source.substr(scheme + 3);
  while (path.ends_with('/')) path.pop_back();
  if (path.ends_with(".git")) path.resize(path.size() - 4);
  const size_t slash = path.rfind('/');
  if (scheme == std::string::npos || slash == std::string::npos) {
    return {"local", slash == std::string::npos ? path : path.substr(slash + 1)};
  }
  const size_t before = path.rfind('/', slash - 1);
  const std::string owner = before == std::string::npos
                                ? std::string("local")
                                : path.substr(before + 1, slash - before - 1);
  return {owner, path.substr(slash + 1)};
}

}  // namespace

std::string LayerArchiveName(const std::string& tree_digest) {
  return "layer-" + tree_digest.substr(0, 12) + ".tar.gz";
}

FileDigests DigestsOf(const TaskFolder& folder) {
  FileDigests digests;
  for (const auto& [path, entry] : folder.files.files()) digests[path] = Sha256Hex(*entry.content);
  for (const auto& [path, layer] : folder.layers) digests[path] = layer.digest;
  return digests;
}

std::string HarborContentHash(const FileDigests& digests) {
  return HashOver(digests,
                  [](std::string_view path) { return IsPublished(path) && !IsIgnored(path); });
}

std::string FolderHash(const FileDigests& digests, std::string_view except) {
  FileDigests counted = digests;
  counted.erase(std::string(except));
  return HashOver(counted, [](std::string_view) { return true; });
}

std::string PortableName(std::string_view text) {
  std::string name;
  for (const char c : LowerCase(std::string(text))) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    // No two marks side by side: Harbor refuses "..", "__" parts an instance's name, and the names
    // of images know few other pairs.
    const bool open =
        name.empty() || name.back() == '.' || name.back() == '_' || name.back() == '-';
    if (letter) {
      name += c;
    } else if (!open) {
      name += c == '.' || c == '_' ? c : '-';
    }
    if (name.size() == kNameBytesMax) break;
  }
  while (!name.empty() && (name.back() == '-' || name.back() == '.' || name.back() == '_')) {
    name.pop_back();
  }
  return name.empty() ? "x" : name;
}

PortableNames NamesOf(const v1::Task& task) {
  const auto [owner, repository] = OwnerAndName(task.provenance().source());
  PortableNames names;
  names.owner = PortableName(owner);
  names.repository = PortableName(repository);
  names.folder = names.repository + "-" + task.id().substr(0, 12);
  names.instance = names.owner + "__" + names.folder;
  return names;
}

Status AddSideFiles(const ExportedTask& task, FileTree& files) {
  const auto record = [](const google::protobuf::Message& message) {
    return ParseJson(RecordToJson(message)).value();
  };
  nlohmann::json evidence = nlohmann::json::array();
  for (const v1::Evidence& row : task.kept.evidence()) evidence.push_back(record(row));
  const nlohmann::json document = {{"format", "taskmint-task"},
                                   {"version", 1},
                                   {"task", record(task.kept.task())},
                                   {"evidence", std::move(evidence)}};
  TASKMINT_RETURN_IF_ERROR(files.Set(kSideRecord, RegularFile(DumpJson(document, true) + "\n")));
  if (!task.overlay.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(std::string overlay, WriteArchive(task.overlay));
    TASKMINT_RETURN_IF_ERROR(files.Set(kSideOverlay, RegularFile(std::move(overlay))));
  }
  if (task.logs.empty()) return OkStatus();
  FileTree logs;
  for (const auto& [digest, log] : task.logs) {
    TASKMINT_RETURN_IF_ERROR(logs.Set(digest, RegularFile(log)));
  }
  TASKMINT_ASSIGN_OR_RETURN(std::string archive, WriteArchive(logs));
  return files.Set(kSideLogs, RegularFile(std::move(archive)));
}

}  // namespace taskmint::datasets
