#include "orchestrator/serving/received_files.h"

#include <filesystem>

#include "proto/base/file_tree.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFilesMax = 10'000'000;

Status NoRoom(const std::string& path) {
  return {Code::kResourceExhausted, Boundary::kStore,
          "cannot write " + path + ": is the disk full, and may you write there?"};
}

Status NotSoSent(const std::string& path, const std::string& why) {
  return {Code::kDataLoss, Boundary::kConfig,
          "the server sends '" + Printable(path.substr(0, 200)) + "', " + why +
              ": it is no server to trust"};
}

}  // namespace

Result<ReceivedFiles> ReceivedFiles::Begin(const std::string& out) {
  std::string path = out;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_empty(path, error)) {
    return Status(Code::kInvalidArgument, Boundary::kConfig,
                  Printable(path) + " exists and is not empty: name another --out, or remove it");
  }
  TASKMINT_ASSIGN_OR_RETURN(std::unique_ptr<ExportFolder> folder,
                            ExportFolder::OpenAnew(path, false));
  return ReceivedFiles(std::move(folder));
}

ReceivedFiles::ReceivedFiles(std::unique_ptr<ExportFolder> folder)
    : folder_(std::move(folder)), partial_(folder_->path()) {}

ReceivedFiles::ReceivedFiles(ReceivedFiles&& other) noexcept
    : folder_(std::move(other.folder_)),
      partial_(std::move(other.partial_)),
      paths_(std::move(other.paths_)),
      file_(std::move(other.file_)),
      report_(std::move(other.report_)) {}

ReceivedFiles::~ReceivedFiles() {
  if (folder_ != nullptr) folder_->Discard();
}

Status ReceivedFiles::Take(const v1::ExportChunk& chunk) {
  if (!chunk.summary_json().empty()) {
    report_ = chunk.summary_json();
    return CloseFile();
  }
  if (!chunk.path().empty()) {
    TASKMINT_RETURN_IF_ERROR(CloseFile());
    TASKMINT_RETURN_IF_ERROR(OpenFile(chunk));
    if (!chunk.same_as().empty()) return OkStatus();
  }
  if (!file_.is_open()) return NotSoSent("", "bytes of no file");
  file_.write(chunk.data().data(), static_cast<std::streamsize>(chunk.data().size()));
  return file_ ? OkStatus() : NoRoom(partial_);
}

Status ReceivedFiles::OpenFile(const v1::ExportChunk& chunk) {
  const std::string& path = chunk.path();
  if (!IsTreePath(path)) return NotSoSent(path, "which is no path below the export");
  if (path.starts_with('.')) return NotSoSent(path, "which no export holds");
  if (!paths_.insert(path).second) return NotSoSent(path, "twice");
  if (paths_.size() > kFilesMax) return NotSoSent(path, "after ten million files");
  const fs::path target = fs::path(partial_) / path;
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) return NoRoom(target.string());
  if (!chunk.same_as().empty()) {
    if (!paths_.contains(chunk.same_as())) return NotSoSent(chunk.same_as(), "not sent before");
    const fs::path source = fs::path(partial_) / chunk.same_as();
    fs::create_hard_link(source, target, error);
    if (error) fs::copy_file(source, target, error);
    return error ? NoRoom(target.string()) : OkStatus();
  }
  file_.open(target, std::ios::binary | std::ios::trunc);
  if (!file_) return NoRoom(target.string());
  if (chunk.executable()) {
    fs::permissions(target, fs::perms(0755), error);
  }
  return OkStatus();
}

Status ReceivedFiles::CloseFile() {
  if (!file_.is_open()) return OkStatus();
  file_.close();
  return file_ ? OkStatus() : NoRoom(partial_);
}

Result<std::string> ReceivedFiles::End() {
  TASKMINT_RETURN_IF_ERROR(CloseFile());
  if (report_.empty()) {
    return Status(Code::kUnavailable, Boundary::kConfig,
                  "the server ended in the middle of the export: try again");
  }
  if (paths_.empty()) return report_;
  TASKMINT_RETURN_IF_ERROR(folder_->Publish());
  folder_.reset();
  return report_;
}

}  // namespace taskmint::orchestrator
