#include "orchestrator/export_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "datasets/archive.h"
#include "datasets/folder_writing.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournalName = "/.journal";
constexpr const char* kLayerFolder = "/.layers";
constexpr const char* kRowFolder = "/.rows";
constexpr const char* kProofFolder = "/.unpacked";

Status CannotWrite(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return {full ? Code::kResourceExhausted : Code::kFailedPrecondition, Boundary::kStore,
          "cannot write " + path + ": " + std::strerror(error) +
              (full ? "; make room, then the same command goes on" : "")};
}

Status RefusedTarget(const std::string& out, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig, out + " " + why};
}

// `out` as an absolute path without a slash at its end.
std::string AbsoluteOut(const std::string& out) {
  std::error_code error;
  std::string path = fs::absolute(out, error).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// What was written before a power failure may be there in part.
std::string BootName() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

std::string WholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string JournalLine(const ExportSummary::Written& task) {
  return DumpJson({{"id", task.id},
                   {"name", task.name},
                   {"folder", task.folder},
                   {"digest", task.digest},
                   {"cheaters", task.cheaters}}) +
         "\n";
}

Status WriteAll(int file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return CannotWrite(path, errno);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

}  // namespace

Status CheckExportTarget(const std::string& out, bool force) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(out, error);
  if (!fs::exists(status)) return OkStatus();
  if (!fs::is_directory(status)) return RefusedTarget(out, "is there already and is no folder");
  if (fs::is_empty(out, error) && !error) return OkStatus();
  if (!fs::exists(out + "/" + kExportMark, error)) {
    return RefusedTarget(out, "is not empty, and no export of taskmint: name a new folder");
  }
  if (force) return OkStatus();
  return RefusedTarget(out, "holds an export already: --force replaces it, or name a new folder");
}

ExportFolder::ExportFolder(std::string out, std::string path, int journal)
    : out_(std::move(out)), path_(std::move(path)), journal_(journal) {}

ExportFolder::~ExportFolder() {
  if (journal_ >= 0) close(journal_);
}

Result<std::unique_ptr<ExportFolder>> ExportFolder::Open(const ExportRequest& request,
                                                         const std::string& settings) {
  const std::string out = AbsoluteOut(request.out);
  TASKMINT_RETURN_IF_ERROR(CheckExportTarget(out, request.force));
  const std::string path = out + ".partial";
  std::error_code error;
  const bool there = fs::exists(fs::symlink_status(path, error));
  if (there && !fs::exists(path + kJournalName, error) && !fs::is_empty(path, error)) {
    return RefusedTarget(path, "is in the way: remove it");
  }
  fs::create_directories(path, error);
  if (error) return CannotWrite(path, error.value());
  const std::string journal = path + kJournalName;
  const int file =
      open(journal.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return CannotWrite(journal, errno);
  std::unique_ptr<ExportFolder> folder(new ExportFolder(out, path, file));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    return Status(Code::kUnavailable, Boundary::kConfig,
                  "another export to " + out + " is running");
  }
  TASKMINT_RETURN_IF_ERROR(folder->ReadJournal(
      DumpJson({{"settings", Sha256Hex(settings)}, {"boot", BootName()}}) + "\n"));
  return folder;
}

Status ExportFolder::ReadJournal(const std::string& settings) {
  const std::string text = WholeFile(path_ + kJournalName);
  std::error_code error;
  if (!text.starts_with(settings)) {
    for (const auto& entry : fs::directory_iterator(path_, error)) {
      if (entry.path().filename() != kJournalName + 1) fs::remove_all(entry.path(), error);
    }
    if (ftruncate(journal_, 0) != 0) return CannotWrite(path_, errno);
    TASKMINT_RETURN_IF_ERROR(WriteAll(journal_, settings, path_));
  } else {
    std::istringstream lines(text.substr(settings.size()));
    for (std::string line; std::getline(lines, line);) {
      const auto task = ParseJson(line);
      if (!task.ok()) continue;  // cut short by a kill
      ExportSummary::Written written;
      written.id = StringOr(*task, "id", "");
      written.name = StringOr(*task, "name", "");
      written.folder = StringOr(*task, "folder", "");
      written.digest = StringOr(*task, "digest", "");
      written.cheaters = IntOr(*task, "cheaters", 0);
      written.resumed = true;
      const bool whole = !written.folder.empty() && fs::exists(path_ + "/" + written.folder, error);
      if (whole) finished_[written.id] = std::move(written);
    }
    // A line that was cut short must not swallow the next one.
    if (!text.ends_with('\n')) TASKMINT_RETURN_IF_ERROR(WriteAll(journal_, "\n", path_));
  }
  for (const char* folder : {"/tasks", kLayerFolder, kRowFolder}) {
    fs::create_directories(path_ + folder, error);
    if (error) return CannotWrite(path_ + folder, error.value());
  }
  return OkStatus();
}

const ExportSummary::Written* ExportFolder::Finished(const std::string& task_id) const {
  const auto found = finished_.find(task_id);
  return found == finished_.end() ? nullptr : &found->second;
}

Status ExportFolder::Finish(const ExportSummary::Written& task) {
  const std::lock_guard lock(mutex_);
  return WriteAll(journal_, JournalLine(task), path_);
}

Result<datasets::LayerArchive> ExportFolder::Layer(const datasets::BlobStore& blobs,
                                                   const v1::Layer& layer) {
  LayerState* state = nullptr;
  {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<LayerState>& slot = layers_[layer.tree_digest()];
    if (slot == nullptr) slot = std::make_unique<LayerState>();
    state = slot.get();
  }
  const std::lock_guard lock(state->mutex);
  if (!state->made) {
    datasets::LayerArchive& archive = state->archive;
    archive.name = datasets::LayerArchiveName(layer.tree_digest());
    archive.host_path = path_ + kLayerFolder + "/" + layer.tree_digest();
    std::error_code error;
    if (fs::exists(archive.host_path, error)) {
      archive.digest = Sha256Hex(WholeFile(archive.host_path));
    } else {
      TASKMINT_ASSIGN_OR_RETURN(const FileTree tree, blobs.GetTree(layer.tree_digest()));
      TASKMINT_ASSIGN_OR_RETURN(const std::string bytes, datasets::WriteArchive(tree));
      TASKMINT_RETURN_IF_ERROR(datasets::WriteFileWhole(archive.host_path, bytes));
      archive.digest = Sha256Hex(bytes);
    }
    state->made = true;
  }
  datasets::LayerArchive archive = state->archive;
  archive.mount_path = layer.mount_path();
  return archive;
}

std::string ExportFolder::ProofFolder() const { return path_ + kProofFolder; }

std::string ExportFolder::RowPath(const std::string& name) const {
  return path_ + kRowFolder + "/" + name;
}

Status ExportFolder::Publish(const std::vector<ExportSummary::Written>& tasks) {
  std::error_code error;
  std::set<std::string> folders;
  for (const ExportSummary::Written& task : tasks) folders.insert(path_ + "/" + task.folder);
  for (const auto& entry : fs::directory_iterator(path_ + "/tasks", error)) {
    if (!folders.contains(entry.path().string())) fs::remove_all(entry.path(), error);
  }
  for (const char* own : {kLayerFolder, kRowFolder, kProofFolder}) {
    fs::remove_all(path_ + own, error);
  }
  fs::remove(path_ + kJournalName, error);
  const std::string before = out_ + ".replaced";
  if (fs::exists(out_, error) && !fs::is_empty(out_, error)) {
    fs::remove_all(before, error);
    fs::rename(out_, before, error);
    if (error) return CannotWrite(out_, error.value());
  }
  fs::rename(path_, out_, error);
  if (error) {
    std::error_code ignored;
    if (fs::exists(before, ignored)) fs::rename(before, out_, ignored);
    return CannotWrite(out_, error.value());
  }
  fs::remove_all(before, error);
  return OkStatus();
}

void ExportFolder::Discard() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace taskmint::orchestrator
