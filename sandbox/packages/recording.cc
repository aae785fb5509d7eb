#include "sandbox/packages/recording.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "proto/base/json.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"
#include "sandbox/errors.h"
#include "sandbox/process_mark.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr char kIndexesFile[] = "/indexes.json";
constexpr int64_t kAnswerBytesMax = 1 << 20;

Status FileError(int number, const std::string& what, const std::string& path) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  const Code code = full               ? Code::kResourceExhausted
                    : denied           ? Code::kPermissionDenied
                    : number == ENOENT ? Code::kNotFound
                                       : Code::kUnavailable;
  return Error(code, "cannot " + what + " " + path + ": " + std::strerror(number) +
                         (full ? "; make room, or record elsewhere" : ""));
}

Status Damaged(const std::string& path, const std::string& why) {
  return Error(Code::kDataLoss, "the recording is damaged: " + path + " (" + why +
                                    "); put it back from a copy, or record into a new folder");
}

Status MakeRecordingFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? FileError(error.value(), "make the folder", path) : OkStatus();
}

Status WriteToDraft(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FileError(errno, "write", path);
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return OkStatus();
}

// A regular file of at most `bytes_max`.
Result<std::string> ReadRecordedFile(const std::string& path, int64_t bytes_max) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return FileError(errno, "read", path);
  if (!S_ISREG(info.st_mode)) return Damaged(path, "it is no regular file");
  if (info.st_size > bytes_max) return Damaged(path, "it is too large");
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t size = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FileError(errno, "read", path);
    if (size == 0) break;
    filled += static_cast<size_t>(size);
  }
  bytes.resize(filled);
  return bytes;
}

// Changes whenever anybody writes to the file, or puts another in its place.
std::string LookOf(const struct stat& info) {
  std::string look;
  for (const int64_t part :
       {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino),
        static_cast<int64_t>(info.st_size), static_cast<int64_t>(info.st_mtim.tv_sec),
        static_cast<int64_t>(info.st_mtim.tv_nsec), static_cast<int64_t>(info.st_ctim.tv_sec),
        static_cast<int64_t>(info.st_ctim.tv_nsec)}) {
    look += std::to_string(part) + " ";
  }
  return look;
}

Result<std::string> DigestOfFile(int fd, const std::string& path) {
  StreamDigest digest;
  std::string buffer(1 << 20, '\0');
  off_t at = 0;
  while (true) {
    const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), at);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FileError(errno, "read", path);
    if (size == 0) return digest.Hex();
    digest.Add({buffer.data(), static_cast<size_t>(size)});
    at += size;
  }
}

// Temporary files are named after the process: those of dead ones were left by a kill.
void SweepDrafts(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (IsOfDeadProcess(at->path().filename().native())) ::unlink(at->path().c_str());
  }
}

std::string WriteIndexes(const std::vector<RecordedIndex>& indexes) {
  nlohmann::json list = nlohmann::json::array();
  for (const RecordedIndex& index : indexes) {
    list.push_back({{"kind", IndexKindName(index.kind)}, {"url", index.url.Text()}});
  }
  return DumpJson({{"format", 1}, {"indexes", std::move(list)}}, true) + "\n";
}

}  // namespace

Result<std::unique_ptr<Recording>> Recording::OpenToRecord(
    const std::string& folder, const std::vector<RecordedIndex>& indexes,
    const RecordingLimits& limits) {
  std::unique_ptr<Recording> recording(new Recording(folder));
  recording->limits_ = limits;
  TASKMINT_RETURN_IF_ERROR(recording->Prepare(indexes));
  TASKMINT_RETURN_IF_ERROR(recording->Count());
  return recording;
}

Result<std::unique_ptr<Recording>> Recording::OpenToReplay(const std::string& folder) {
  std::unique_ptr<Recording> recording(new Recording(folder));
  TASKMINT_RETURN_IF_ERROR(recording->ReadIndexes());
  return recording;
}

Status Recording::Prepare(const std::vector<RecordedIndex>& indexes) {
  for (const char* name : {"/bodies/sha256", "/answers", "/tmp"}) {
    TASKMINT_RETURN_IF_ERROR(MakeRecordingFolder(folder_ + name));
  }
  SweepDrafts(folder_ + "/tmp");
  TASKMINT_RETURN_IF_ERROR(WriteOnce(folder_ + kIndexesFile, WriteIndexes(indexes)));
  TASKMINT_RETURN_IF_ERROR(ReadIndexes());
  if (WriteIndexes(indexes_) != WriteIndexes(indexes)) {
    return Error(Code::kFailedPrecondition,
                 folder_ + " was recorded from other package indexes than the settings name (" +
                     folder_ + kIndexesFile + " says which): record into a new folder");
  }
  return OkStatus();
}

Status Recording::Count() {
  std::error_code error;
  int64_t answers = 0;
  for (fs::recursive_directory_iterator at(folder_ + "/answers", error), end; !error && at != end;
       at.increment(error)) {
    answers += at->is_regular_file(error) ? 1 : 0;
  }
  int64_t bytes = 0;
  if (!error) {
    for (fs::recursive_directory_iterator at(folder_ + "/bodies", error), end; !error && at != end;
         at.increment(error)) {
      if (at->is_regular_file(error)) bytes += static_cast<int64_t>(at->file_size(error));
    }
  }
  if (error) return FileError(error.value(), "read", folder_);
  answers_ = answers;
  body_bytes_ = bytes;
  return OkStatus();
}

Status Recording::ReadIndexes() {
  const std::string path = folder_ + kIndexesFile;
  const auto bytes = ReadRecordedFile(path, kAnswerBytesMax);
  if (bytes.status().code() == Code::kNotFound) {
    return Error(Code::kNotFound, "no packages were recorded into " + folder_ + ": record first");
  }
  TASKMINT_RETURN_IF_ERROR(bytes.status());
  const auto value = ParseJson(*bytes);
  if (!value.ok()) return Damaged(path, value.status().message());
  if (IntOr(*value, "format", 0) != 1) return Damaged(path, "it is of another release");
  if (!value->contains("indexes") || !(*value)["indexes"].is_array()) {
    return Damaged(path, "it has no list of indexes");
  }
  indexes_.clear();
  for (const nlohmann::json& index : (*value)["indexes"]) {
    const auto kind = IndexKindFromName(StringOr(index, "kind", ""));
    const auto url = ParsePackageUrl(StringOr(index, "url", ""));
    if (!kind.has_value() || !url.ok()) return Damaged(path, "an index of it is none");
    indexes_.push_back({*kind, *url});
  }
  return OkStatus();
}

std::string Recording::AnswerPath(const std::string& method, const std::string& url) const {
  const std::string name = Sha256Hex(method + " " + url);
  return folder_ + "/answers/" + name.substr(0, 2) + "/" + name.substr(2) + ".json";
}

std::string Recording::BodyPath(const std::string& digest) const {
  return folder_ + "/bodies/sha256/" + digest.substr(0, 2) + "/" + digest.substr(2);
}

std::string Recording::TemporaryPath() const {
  return folder_ + "/tmp/" + ProcessMark() + "-" + std::to_string(SystemRandom());
}

Result<std::optional<RecordedAnswer>> Recording::Find(const std::string& method,
                                                      const std::string& url) const {
  const std::string path = AnswerPath(method, url);
  const auto bytes = ReadRecordedFile(path, kAnswerBytesMax);
  if (bytes.status().code() == Code::kNotFound) return std::optional<RecordedAnswer>();
  TASKMINT_RETURN_IF_ERROR(bytes.status());
  auto answer = ReadRecordedAnswer(*bytes);
  if (!answer.ok()) return Damaged(path, answer.status().message());
  if (answer->method != method || answer->url != url) return Damaged(path, "it is of another URL");
  return std::optional<RecordedAnswer>(*std::move(answer));
}

Result<UniqueFd> Recording::OpenBody(const RecordedAnswer& answer) const {
  const std::string path = BodyPath(answer.digest);
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!file.valid() && errno == ENOENT) return Damaged(path, "it is gone");
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return FileError(errno, "read", path);
  if (!S_ISREG(info.st_mode) || info.st_size != answer.bytes) return Damaged(path, "its size");
  const std::string look = LookOf(info);
  {
    const std::lock_guard lock(mutex_);
    const auto known = verified_.find(answer.digest);
    if (known != verified_.end() && known->second == look) return file;
  }
  TASKMINT_ASSIGN_OR_RETURN(const std::string digest, DigestOfFile(file.get(), path));
  if (digest != answer.digest) return Damaged(path, "its digest differs");
  const std::lock_guard lock(mutex_);
  verified_[answer.digest] = look;
  return file;
}

Result<std::string> Recording::ReadBody(const RecordedAnswer& answer, int64_t bytes_max) const {
  if (answer.bytes > bytes_max) {
    return Error(Code::kResourceExhausted, answer.url + " has " + std::to_string(answer.bytes) +
                                               " bytes, more than a page may have");
  }
  const std::string path = BodyPath(answer.digest);
  Result<std::string> bytes = ReadRecordedFile(path, answer.bytes);
  if (bytes.status().code() == Code::kNotFound) return Damaged(path, "it is gone");
  if (bytes.ok() && Sha256Hex(*bytes) != answer.digest) return Damaged(path, "its digest differs");
  return bytes;
}

Result<std::unique_ptr<Recording::Draft>> Recording::Begin() {
  if (answers_ >= limits_.answers_max) {
    return Error(Code::kResourceExhausted,
                 folder_ + " has " + std::to_string(answers_) + " answers, as many as it may have");
  }
  std::string path = TemporaryPath();
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.valid()) return FileError(errno, "write", path);
  return std::unique_ptr<Draft>(new Draft(*this, std::move(path), std::move(file)));
}

Recording::Draft::~Draft() {
  if (kept_) return;
  ::unlink(path_.c_str());
  recording_.body_bytes_ -= bytes_;
}

Status Recording::Draft::Append(std::string_view bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  bytes_ += size;
  const int64_t total = recording_.body_bytes_ += size;
  if (bytes_ > recording_.limits_.body_bytes_max || total > recording_.limits_.folder_bytes_max) {
    return Error(Code::kResourceExhausted,
                 "the recording would have more bytes than it may: at most " +
                     std::to_string(recording_.limits_.body_bytes_max) + " a file, " +
                     std::to_string(recording_.limits_.folder_bytes_max) + " in all");
  }
  digest_.Add(bytes);
  return WriteToDraft(file_.get(), bytes, path_);
}

Status Recording::Keep(Draft& draft, RecordedAnswer answer) {
  answer.digest = draft.digest_.Hex();
  answer.bytes = draft.bytes_;
  const std::string path = BodyPath(answer.digest);
  const bool is_new = ::access(path.c_str(), F_OK) != 0;
  TASKMINT_RETURN_IF_ERROR(MakeRecordingFolder(fs::path(path).parent_path().string()));
  // Some file systems tell of a full disk only now.
  if (::close(draft.file_.release()) != 0) return FileError(errno, "write", path);
  if (::rename(draft.path_.c_str(), path.c_str()) != 0) return FileError(errno, "write", path);
  draft.kept_ = true;
  if (!is_new) body_bytes_ -= draft.bytes_;
  return Keep(answer);
}

Status Recording::Keep(const RecordedAnswer& answer) {
  if (answers_ >= limits_.answers_max) {
    return Error(Code::kResourceExhausted, folder_ + " has as many answers as it may have");
  }
  const std::string path = AnswerPath(answer.method, answer.url);
  TASKMINT_RETURN_IF_ERROR(MakeRecordingFolder(fs::path(path).parent_path().string()));
  TASKMINT_RETURN_IF_ERROR(WriteOnce(path, WriteRecordedAnswer(answer)));
  ++answers_;
  return OkStatus();
}

Status Recording::WriteOnce(const std::string& path, std::string_view bytes) const {
  const std::string temporary = TemporaryPath();
  UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.valid()) return FileError(errno, "write", temporary);
  Status status = WriteToDraft(file.get(), bytes, path);
  if (::close(file.release()) != 0 && status.ok()) status = FileError(errno, "write", path);
  // A link, unlike a rename, leaves alone what is there.
  if (status.ok() && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    status = FileError(errno, "write", path);
  }
  ::unlink(temporary.c_str());
  return status;
}

}  // namespace taskmint::sandbox
