// The folder that an export is written to: whole or absent, and gone on with after an interruption.
#ifndef TASKMINT_ORCHESTRATOR_EXPORT_FOLDER_H_
#define TASKMINT_ORCHESTRATOR_EXPORT_FOLDER_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "datasets/blob_store.h"
#include "datasets/exported_task.h"
#include "orchestrator/export.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

// OUT.partial while it is written. Thread-safe. Its journal has a line for every finished task; it
// is locked while in use.
class ExportFolder {
 public:
  // Makes or takes over OUT.partial for an export to `out`, where `force` allows to replace an
  // earlier one. `settings` is what makes two requests equal: what an export with other ones left,
  // or one before the machine's last start, is removed. INVALID_ARGUMENT (config) for an `out` that
  // CheckExportTarget refuses and for an OUT.partial that no export made.
  static Result<std::unique_ptr<ExportFolder>> Open(const std::string& out, bool force,
                                                    const std::string& settings);
  // For what is never gone on with: whatever an earlier export left is removed.
  static Result<std::unique_ptr<ExportFolder>> OpenAnew(const std::string& out, bool force);
  ~ExportFolder();
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;

  // The folder under which everything is written.
  const std::string& path() const { return path_; }
  // A task that an interrupted export finished; null when there is none of that id.
  const ExportSummary::Written* Finished(const std::string& task_id) const;

  // Notes a task as finished.
  Status Finish(const ExportSummary::Written& task);

  // The layer's archive, made from the store when it is first asked for.
  Result<datasets::LayerArchive> Layer(const datasets::BlobStore& blobs, const v1::Layer& layer);

  // Where proofs unpack layers.
  std::string ProofFolder() const;
  // Where the row of a task stands until the end.
  std::string RowPath(const std::string& name) const;

  // Removes folders of tasks that are none of `tasks`.
  void RemoveOthers(const std::vector<ExportSummary::Written>& tasks);
  // Gives the folder its name and removes what only the writing needed; an earlier export there is
  // replaced. Where that fails, what is finished stays finished.
  Status Publish();
  // Removes everything, unless there are tasks that an interrupted export finished.
  void Discard();

 private:
  ExportFolder(std::string out, bool force, std::string path, int journal);
  Status ReadJournal(const std::string& settings);

  struct LayerState {
    std::mutex mutex;
    bool made = false;
    datasets::LayerArchive archive;
  };

  std::string out_;
  bool force_;
  std::string path_;
  int journal_;
  std::map<std::string, ExportSummary::Written> finished_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<LayerState>> layers_;
};

// OK when an export may be written to `out`: it is absent, an empty folder, or an earlier export
// that `force` allows to replace, and no mount point, which cannot be renamed. Else
// INVALID_ARGUMENT (config) with what to do.
Status CheckExportTarget(const std::string& out, bool force);

// At the top of every export: which program wrote what.
constexpr const char* kExportMark = "taskmint-export.json";

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_EXPORT_FOLDER_H_
