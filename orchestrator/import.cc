#include "orchestrator/import.h"

#include "orchestrator/minting.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

// So many are made durable at once.
constexpr size_t kImportBatchMax = 64;

v1::Job ImportJob(const std::string& name) {
  v1::Job job;
  job.set_category(v1::CATEGORY_CODE);
  job.set_source("import:" + OneLine(name.substr(0, 200)));
  return job;
}

// Writes what was read; the blobs first.
Status WriteBatch(datasets::Store& store, const v1::Job& job, std::vector<v1::Candidate>& batch,
                  ImportSummary& summary) {
  if (batch.empty()) return OkStatus();
  TASKMINT_RETURN_IF_ERROR(store.blobs().Sync());
  for (v1::Candidate& candidate : batch) {
    const v1::Task& task = candidate.task();
    const std::string id = task.id();
    // As a run of the original source would name it: it will find the task here.
    candidate.set_id(DigestBuilder()
                         .Add("code")
                         .Add(task.provenance().source())
                         .Add(task.provenance().commit())
                         .Hex());
    TASKMINT_ASSIGN_OR_RETURN(const bool added,
                              store.AddKept(RunId(job), job, std::move(candidate)));
    (added ? summary.imported : summary.known).push_back(id);
  }
  batch.clear();
  return OkStatus();
}

}  // namespace

Result<ImportSummary> ImportTasks(datasets::Store& store, datasets::ForeignFolder& folder,
                                  const std::vector<datasets::ForeignTaskPlace>& places,
                                  const ImportListener& listener, std::stop_token stop) {
  const SystemClock clock;
  const int64_t begin_ms = clock.MonotonicMs();
  const v1::Job job = ImportJob(folder.name());
  ImportSummary summary;
  summary.source = job.source();
  datasets::KnownLayers known;
  std::vector<v1::Candidate> batch;
  int64_t done = 0;
  for (const datasets::ForeignTaskPlace& place : places) {
    if (stop.stop_requested()) break;
    Result<v1::Candidate> task =
        place.refusal.empty() ? datasets::ReadForeignTask(folder, place, store.blobs(), known)
                              : Status(Code::kInvalidArgument, Boundary::kConfig, place.refusal);
    if (task.ok()) {
      batch.push_back(*std::move(task));
    } else if (task.status().boundary() == Boundary::kConfig) {
      summary.refused.push_back({place.path.empty() ? "." : place.path, task.status().message()});
    } else {
      return task.status();
    }
    if (batch.size() == kImportBatchMax) {
      TASKMINT_RETURN_IF_ERROR(WriteBatch(store, job, batch, summary));
    }
    if (listener) listener(++done, static_cast<int64_t>(places.size()));
  }
  TASKMINT_RETURN_IF_ERROR(WriteBatch(store, job, batch, summary));
  if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kNone, "interrupted");
  summary.wall_ms = clock.MonotonicMs() - begin_ms;
  return summary;
}

}  // namespace taskmint::orchestrator
