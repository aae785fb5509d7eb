// A folder of answers: bodies by their digest, and for each URL what was answered.
#ifndef TASKMINT_SANDBOX_PACKAGES_RECORDING_H_
#define TASKMINT_SANDBOX_PACKAGES_RECORDING_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "sandbox/fd.h"
#include "sandbox/packages/index_page.h"
#include "sandbox/packages/recorded_answer.h"

namespace taskmint::sandbox {

struct RecordingLimits {
  int64_t body_bytes_max = int64_t{8} << 30;
  // Of all bodies in the folder.
  int64_t folder_bytes_max = int64_t{256} << 30;
  // Answers in the folder.
  int64_t answers_max = 200'000;
};

// An index as the recording knows it: without credentials.
struct RecordedIndex {
  IndexKind kind = IndexKind::kPython;
  PackageUrl url;
};

// Below its folder: `bodies/sha256/ab/cdef...` as they were received, `answers/ab/cdef....json`
// named by the SHA-256 of method and URL, `indexes.json`, `tmp/` for what is not whole yet.
// Everything appears by a rename or not at all, so that a kill at any time loses nothing that was
// answered in full, and several processes may record into one folder; the first answer to a URL
// stays. Nothing is synced: a power failure may leave damaged files, which are then said to be.
// Thread-safe. Errors (sandbox): DATA_LOSS for what is damaged (names the file), RESOURCE_EXHAUSTED
// for a full disk and beyond the limits, PERMISSION_DENIED.
class Recording {
 public:
  // For recording: makes the folder where it is absent, writes the indexes down, removes what
  // killed writers left. FAILED_PRECONDITION where it holds a recording from other indexes. Cost:
  // one look at every file in it.
  static Result<std::unique_ptr<Recording>> OpenToRecord(const std::string& folder,
                                                         const std::vector<RecordedIndex>& indexes,
                                                         const RecordingLimits& limits);
  // For replaying: writes nothing. NOT_FOUND where there is no recording.
  static Result<std::unique_ptr<Recording>> OpenToReplay(const std::string& folder);

  const std::vector<RecordedIndex>& indexes() const { return indexes_; }

  // What was answered to a URL; nothing where that was not recorded.
  Result<std::optional<RecordedAnswer>> Find(const std::string& method,
                                             const std::string& url) const;
  // The body, open for reading. Its digest is compared first: at the first use in this process, and
  // again once the file looks changed. Cost then: a reading of the file.
  Result<UniqueFd> OpenBody(const RecordedAnswer& answer) const;
  // The whole body. RESOURCE_EXHAUSTED above `bytes_max`.
  Result<std::string> ReadBody(const RecordedAnswer& answer, int64_t bytes_max) const;

  // A body on its way to the disk, gone again unless it is kept. Not thread-safe.
  class Draft {
   public:
    ~Draft();
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    Status Append(std::string_view bytes);
    int64_t bytes() const { return bytes_; }

   private:
    friend class Recording;
    Draft(Recording& recording, std::string path, UniqueFd file)
        : recording_(recording), path_(std::move(path)), file_(std::move(file)) {}

    Recording& recording_;
    std::string path_;
    UniqueFd file_;
    StreamDigest digest_;
    int64_t bytes_ = 0;
    bool kept_ = false;
  };
  Result<std::unique_ptr<Draft>> Begin();
  // Keeps a body, and `answer` with its digest and size, unless that URL has an answer by now.
  Status Keep(Draft& draft, RecordedAnswer answer);
  // Keeps an answer without a body.
  Status Keep(const RecordedAnswer& answer);

 private:
  explicit Recording(std::string folder) : folder_(std::move(folder)) {}
  std::string AnswerPath(const std::string& method, const std::string& url) const;
  std::string BodyPath(const std::string& digest) const;
  std::string TemporaryPath() const;
  Status Prepare(const std::vector<RecordedIndex>& indexes);
  Status Count();
  Status ReadIndexes();
  // Writes a file that appears whole, or not at all where one is there already.
  Status WriteOnce(const std::string& path, std::string_view bytes) const;

  std::string folder_;
  RecordingLimits limits_;
  std::vector<RecordedIndex> indexes_;
  std::atomic<int64_t> answers_ = 0;
  std::atomic<int64_t> body_bytes_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> verified_;  // body -> what its file looked like then
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_RECORDING_H_
