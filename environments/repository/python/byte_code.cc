#include "environments/repository/python/byte_code.h"

#include <map>
#include <mutex>
#include <vector>

#include "environments/repository/python/scripts.h"
#include "proto/base/digest.h"

namespace taskmint::environments {
namespace {

// Taking out what was compiled costs as much as compiling this much.
constexpr size_t kSourceBytesMin = 64 << 10;
constexpr size_t kSourceBytesMax = 4 << 20;
constexpr size_t kCompiledFileBytesMax = 2 << 20;
constexpr size_t kKeptBytesMax = 256 << 20;
constexpr int64_t kCompileLayerMsMax = 3 * 60'000;
constexpr size_t kPlaceBytesMax = 1024;

// What was compiled: by key, the .pyc files of one source.
class Store {
 public:
  bool Find(const std::string& key, FileTree& code) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return false;
    code.Overlay(found->second);
    return true;
  }
  void Keep(const std::string& key, FileTree code) {
    const std::lock_guard lock(mutex_);
    if (bytes_ > kKeptBytesMax) {
      files_.clear();
      bytes_ = 0;
    }
    bytes_ += code.content_bytes() + 200;
    files_[key] = std::move(code);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, FileTree> files_;
  size_t bytes_ = 0;
};

Store& Kept() {
  static auto* store = new Store();
  return *store;
}

// "a/b.py" of "a/__pycache__/b.cpython-311.pyc"; empty for anything else.
std::string SourceOf(const std::string& path) {
  const size_t folder = path.rfind("__pycache__/");
  if (folder == std::string::npos || !std::string_view(path).ends_with(".pyc")) return {};
  const std::string name = path.substr(folder + 12);
  return path.substr(0, folder) + name.substr(0, name.find('.')) + ".py";
}

std::string KeyOf(const BuiltEnvironment& built, const std::string& path,
                  const std::string& content) {
  DigestBuilder key;
  for (const sandbox::Mount& layer : built.layers) key.Add(layer.host_path);
  return key.Add(path).Add(content).Hex();
}

// "a/__pycache__/b.cpython-311.pyc" of "venv/a/b.cpython-311.pyc", its place below a cache prefix;
// empty for anything else.
std::string PlaceInLayer(std::string_view path) {
  if (!path.starts_with("venv/") || !path.ends_with(".pyc")) return {};
  path.remove_prefix(5);
  const size_t name = path.rfind('/') + 1;
  return std::string(path.substr(0, name)) + "__pycache__/" + std::string(path.substr(name));
}

}  // namespace

Result<FileTree> ByteCodeOfLayer(sandbox::SandboxHost& sandboxes, const sandbox::Mount& layer,
                                 std::stop_token stop) {
  FileTree code;
  if (layer.inside_path != "/venv") return code;
  sandbox::SandboxSpec spec;
  spec.mounts = {layer};
  TASKMINT_ASSIGN_OR_RETURN(const auto opened, sandboxes.Open(spec, stop));
  sandbox::Command command;
  command.argv = {"/venv/bin/python", "-I", "-S", "-c",
                  std::string(PythonScript("compile_layer.py"))};
  command.wall_ms_max = kCompileLayerMsMax;
  const auto ran = opened->Run(command, stop);
  if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kSandbox, "cancelled");
  // From here on whatever goes wrong may be the layer's doing, and costs nothing but time.
  if (!ran.ok() || !opened->KillAll().ok()) return code;
  const auto found = opened->Collect("/work", {});
  if (!found.ok()) return code;
  for (const auto& [path, entry] : found->files()) {
    const std::string place = PlaceInLayer(path);
    if (place.empty() || place.size() > kPlaceBytesMax) continue;
    if (entry.kind == FileEntry::Kind::kRegular) (void)code.Set(place, entry);
  }
  return code;
}

FileTree ByteCodeBeside(const FileTree& found, const FileTree& tree) {
  FileTree code;
  for (const auto& [path, entry] : found.files()) {
    const std::string source = SourceOf(path);
    if (!source.empty() && entry.kind != FileEntry::Kind::kSymlink && !tree.Contains(path) &&
        tree.Contains(source)) {
      (void)code.Set(path, entry);
    }
  }
  return code;
}

ByteCode FindByteCode(const BuiltEnvironment& built, const FileTree& tree,
                      const std::set<std::string>& paths) {
  ByteCode code;
  size_t bytes = 0;
  for (const std::string& path : paths) {
    const FileEntry* entry = tree.Find(path);
    if (entry == nullptr || entry->kind == FileEntry::Kind::kSymlink ||
        !std::string_view(path).ends_with(".py") ||
        entry->content->size() > kCompiledFileBytesMax ||
        Kept().Find(KeyOf(built, path, *entry->content), code.known) ||
        bytes + entry->content->size() > kSourceBytesMax) {
      continue;
    }
    bytes += entry->content->size();
    code.missing.push_back(path);
  }
  if (bytes < kSourceBytesMin) code.missing.clear();
  return code;
}

void KeepByteCode(const BuiltEnvironment& built, const FileTree& tree,
                  const std::vector<std::string>& sources, const FileTree& code) {
  std::map<std::string, FileTree> by_source;
  for (const auto& [path, entry] : code.files()) (void)by_source[SourceOf(path)].Set(path, entry);
  for (const std::string& path : sources) {
    Kept().Keep(KeyOf(built, path, *tree.Find(path)->content), by_source[path]);
  }
}

}  // namespace taskmint::environments
