#include "orchestrator/export_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "datasets/archive.h"
#include "datasets/folder_writing.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/random.h"

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

// Nothing can be renamed to the name of a mount point.
bool IsMountPoint(const std::string& path) {
  struct stat own {};
  struct stat parent {};
  if (stat(path.c_str(), &own) != 0 || stat((path + "/..").c_str(), &parent) != 0) return false;
  if (own.st_dev != parent.st_dev) return true;
#ifdef STATX_ATTR_MOUNT_ROOT
  struct statx more {};  // a folder of the same file system, mounted once more
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &more) == 0) {
    return (more.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }
#endif
  return false;
}

// Whether a journal's text is of ours: its first line is what an export begins with.
bool IsJournal(const std::string& text) {
  const auto head = ParseJson(text.substr(0, text.find('\n')));
  return head.ok() && IsDigest(StringOr(*head, "settings", "")) && head->contains("boot");
}

}  // namespace

Status CheckExportTarget(const std::string& out, bool force) {
  std::error_code error;
  const std::string path = AbsoluteOut(out);
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) return OkStatus();
  if (!fs::is_directory(status)) return RefusedTarget(out, "is there already and is no folder");
  if (IsMountPoint(path)) {
    return RefusedTarget(out,
                         "is a mount point, which no finished export can be renamed to: "
                         "name a folder below it");
  }
  if (fs::is_empty(path, error) && !error) return OkStatus();
  if (!fs::exists(path + "/" + kExportMark, error)) {
    return RefusedTarget(out, "is not empty, and no export of taskmint: name a new folder");
  }
  if (force) return OkStatus();
  return RefusedTarget(out, "holds an export already: --force replaces it, or name a new folder");
}

ExportFolder::ExportFolder(std::string out, bool force, std::string path, int journal)
    : out_(std::move(out)), force_(force), path_(std::move(path)), journal_(journal) {}

ExportFolder::~ExportFolder() {
  if (journal_ >= 0) close(journal_);
}

Result<std::unique_ptr<ExportFolder>> ExportFolder::OpenAnew(const std::string& out, bool force) {
  return Open(out, force, "anew " + std::to_string(SystemRandom()));
}

Result<std::unique_ptr<ExportFolder>> ExportFolder::Open(const std::string& requested, bool force,
                                                         const std::string& settings) {
  const std::string out = AbsoluteOut(requested);
  TASKMINT_RETURN_IF_ERROR(CheckExportTarget(out, force));
  const std::string path = out + ".partial";
  const Status in_the_way = RefusedTarget(path, "is in the way, and no export made it: remove it");
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (fs::exists(status)) {
    if (!fs::is_directory(status)) return in_the_way;
    const bool has_journal = fs::exists(fs::symlink_status(path + kJournalName, error));
    if (!has_journal && !fs::is_empty(path, error)) return in_the_way;
  }
  fs::create_directories(path, error);
  if (error) return CannotWrite(path, error.value());
  const std::string journal = path + kJournalName;
  const int file =
      open(journal.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return errno == ELOOP ? in_the_way : CannotWrite(journal, errno);
  std::unique_ptr<ExportFolder> folder(new ExportFolder(out, force, path, file));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    return Status(Code::kUnavailable, Boundary::kConfig,
                  "another export to " + out + " is running");
  }
  // One that was killed within its first line has nothing but the journal.
  const std::string text = WholeFile(journal);
  const auto entries = std::distance(fs::directory_iterator(path, error), fs::directory_iterator());
  const bool begun = entries == 1 && (text.empty() || text.front() == '{');
  if (!begun && !IsJournal(text)) return in_the_way;
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

void ExportFolder::RemoveOthers(const std::vector<ExportSummary::Written>& tasks) {
  std::error_code ignored;
  std::set<std::string> folders;
  for (const ExportSummary::Written& task : tasks) folders.insert(path_ + "/" + task.folder);
  for (const auto& entry : fs::directory_iterator(path_ + "/tasks", ignored)) {
    if (!folders.contains(entry.path().string())) fs::remove_all(entry.path(), ignored);
  }
}

Status ExportFolder::Publish() {
  TASKMINT_RETURN_IF_ERROR(CheckExportTarget(out_, force_));  // much time has gone by
  std::error_code ignored;
  for (const char* again : {kLayerFolder, kProofFolder}) fs::remove_all(path_ + again, ignored);
  fs::remove(path_ + "/tasks", ignored);  // only where it is empty
  std::error_code error;
  std::string before;
  if (fs::exists(out_, error) && !fs::is_empty(out_, error)) {
    const std::string random = Sha256Hex(std::to_string(SystemRandom())).substr(0, 16);
    before = out_ + ".replaced-" + random;
    fs::rename(out_, before, error);
    if (error) return CannotWrite(out_, error.value());
  }
  fs::rename(path_, out_, error);
  if (error) {
    if (!before.empty()) fs::rename(before, out_, ignored);
    return CannotWrite(out_, error.value());
  }
  // Only now: the same command needs them where the name could not be given.
  fs::remove_all(out_ + kRowFolder, ignored);
  fs::remove(out_ + kJournalName, ignored);
  if (!before.empty()) fs::remove_all(before, ignored);
  return OkStatus();
}

void ExportFolder::Discard() {
  std::error_code ignored;
  if (finished_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace taskmint::orchestrator
