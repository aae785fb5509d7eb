#include "datasets/task_import.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "datasets/archive.h"
#include "datasets/exported_task.h"
#include "datasets/foreign_task.h"
#include "datasets/harbor_export.h"
#include "datasets/swebench_export.h"
#include "datasets/toml_text.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;

constexpr uint64_t kTextFileBytesMax = 64 << 20;
constexpr uint64_t kTaskTomlBytesMax = 1 << 20;
constexpr uint64_t kArchiveBytesMax = uint64_t{2} << 30;
constexpr const char* kHarborRepository = "environment/repo.tar.gz";
constexpr const char* kSwebenchRepository = "repo.tar.gz";

Status NotAsSaid(const std::string& where, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig, (where.empty() ? "" : where + ": ") + why};
}

std::string PathIn(const std::string& folder, const std::string& file) {
  return folder.empty() ? file : folder + "/" + file;
}

std::string Hex(const std::string& digest) {
  constexpr std::string_view kHead = "sha256:";
  return digest.starts_with(kHead) ? digest.substr(kHead.size()) : digest;
}

// A field that is an object; an empty one else.
json Member(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_object() ? *found : json::object();
}

// Digests by the names of tasks without their organisation, from dataset.toml.
Result<std::map<std::string, std::string>> ReadDataset(ForeignFolder& folder) {
  std::map<std::string, std::string> digests;
  if (!folder.HasFile("dataset.toml")) return digests;
  TASKMINT_ASSIGN_OR_RETURN(const auto text, folder.Read("dataset.toml", kTomlBytesMax));
  TASKMINT_ASSIGN_OR_RETURN(const json document, ReadToml(*text, "dataset.toml"));
  const auto tasks = document.find("tasks");
  if (tasks == document.end()) return digests;
  if (!tasks->is_array()) return NotAsSaid("dataset.toml", "tasks is no list");
  for (const json& task : *tasks) {
    const std::string name = StringOr(task, "name", "");
    const std::string digest = StringOr(task, "digest", "");
    const size_t slash = name.find('/');
    if (slash == std::string::npos || !IsDigest(Hex(digest))) {
      return NotAsSaid("dataset.toml", "a task has no name or no digest");
    }
    if (!digests.emplace(name.substr(slash + 1), digest).second) {
      return NotAsSaid("dataset.toml", "the task " + OneLine(name) + " stands in it twice");
    }
  }
  return digests;
}

// One task's folder, while it is read.
class TaskReader {
 public:
  TaskReader(ForeignFolder& folder, const ForeignTaskPlace& place, BlobStore& blobs,
             KnownLayers& known)
      : folder_(folder), place_(place), blobs_(blobs), known_(known) {}

  Result<v1::Candidate> Read() {
    TASKMINT_RETURN_IF_ERROR(ReadDigests());
    TASKMINT_RETURN_IF_ERROR(CheckFolder());
    TASKMINT_RETURN_IF_ERROR(ReadRecord());
    TASKMINT_RETURN_IF_ERROR(ReadPatch());
    TASKMINT_RETURN_IF_ERROR(ReadTrees());
    TASKMINT_RETURN_IF_ERROR(ReadLogs());
    return std::move(candidate_);
  }

 private:
  bool harbor() const { return place_.format == ExportFormat::kHarbor; }
  const v1::RepositoryEnvironment& environment() const {
    return candidate_.task().environment().repository();
  }
  Status Differs(const std::string& file, const std::string& why) const {
    return NotAsSaid(PathIn(place_.path, file), why);
  }
  Result<std::shared_ptr<const std::string>> File(const std::string& file, uint64_t bytes_max) {
    return folder_.Read(PathIn(place_.path, file), bytes_max);
  }

  Status ReadDigests() {
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> files, folder_.Files(place_.path));
    for (const std::string& file : files) {
      TASKMINT_ASSIGN_OR_RETURN(digests_[file],
                                folder_.Digest(PathIn(place_.path, file), kArchiveBytesMax));
    }
    return OkStatus();
  }

  // Whether the files are those that were exported.
  Status CheckFolder() {
    const std::string content_hash = HarborContentHash(digests_);
    if (!place_.content_hash.empty() && Hex(place_.content_hash) != content_hash) {
      return Differs("", "its files have the content hash " + content_hash +
                             ", and dataset.toml says " + Hex(place_.content_hash) +
                             ": they were changed after the export");
    }
    std::string said;
    if (harbor()) {
      TASKMINT_ASSIGN_OR_RETURN(const auto text, File("task.toml", kTaskTomlBytesMax));
      TASKMINT_ASSIGN_OR_RETURN(const json document,
                                ReadToml(*text, PathIn(place_.path, "task.toml")));
      const json own = Member(Member(document, "metadata"), "taskmint");
      said = StringOr(own, kHarborFolderHashKey, "");
      claimed_id_ = StringOr(own, "id", "");
    } else {
      TASKMINT_ASSIGN_OR_RETURN(const auto text, File(kSwebenchFolderHash, 1'000));
      said = text->substr(0, text->find('\n'));
    }
    const std::string found = FolderHash(digests_, harbor() ? "task.toml" : kSwebenchFolderHash);
    if (Hex(said) == found) return OkStatus();
    return Differs("", "its files have the hash " + found + ", and " +
                           (harbor() ? "task.toml" : kSwebenchFolderHash) + " says '" +
                           OneLine(Hex(said).substr(0, 80)) +
                           "': they were changed after the export");
  }

  Status ReadRecord() {
    TASKMINT_ASSIGN_OR_RETURN(const auto text, File(kSideRecord, kTextFileBytesMax));
    const auto document = ParseJson(*text);
    if (!document.ok()) return Differs(kSideRecord, document.status().message());
    if (StringOr(*document, "format", "") != "taskmint-task" || !document->contains("task")) {
      return Differs(kSideRecord, "it is no record of a task");
    }
    if (IntOr(*document, "version", 0) != 1) {
      return Differs(kSideRecord, "it was written by a newer version of taskmint");
    }
    v1::Task& task = *candidate_.mutable_task();
    Status status = RecordFromJson(document->at("task"), task);
    if (status.ok()) status = CheckForeignTask(task);
    if (!status.ok()) return Differs(kSideRecord, status.message());
    if (const std::string id = TaskId(task); id != task.id()) {
      return Differs(kSideRecord, "the task's id is " + task.id() + ", but its parts give " + id);
    }
    if (harbor() && claimed_id_ != task.id()) {
      return Differs("task.toml", "it speaks of the task '" + OneLine(claimed_id_.substr(0, 80)) +
                                      "', " + kSideRecord + " of " + task.id());
    }
    TASKMINT_RETURN_IF_ERROR(ReadEvidence(*document));
    candidate_.set_commit(task.provenance().commit());
    candidate_.set_state(v1::Candidate::STATE_KEPT);
    return OkStatus();
  }

  Status ReadEvidence(const json& document) {
    const auto rows = document.find("evidence");
    if (rows == document.end()) return OkStatus();
    if (!rows->is_array() || rows->size() > 1'000)
      return Differs(kSideRecord, "evidence is no list");
    for (const json& row : *rows) {
      v1::Evidence evidence;
      Status status = RecordFromJson(row, evidence);
      if (status.ok()) status = CheckForeignEvidence(evidence);
      if (!status.ok()) return Differs(kSideRecord, status.message());
      if (evidence.gate() != "import") *candidate_.add_evidence() = std::move(evidence);
    }
    v1::Evidence& import = *candidate_.add_evidence();
    import.set_gate("import");
    import.set_outcome(v1::Evidence::OUTCOME_UNMEASURED);
    import.set_detail("taken over from an export with the rows above; nothing was run here");
    return OkStatus();
  }

  Status ReadPatch() {
    const std::string file = harbor() ? "solution/gold.patch" : "gold.patch";
    TASKMINT_ASSIGN_OR_RETURN(const auto patch, File(file, kTextFileBytesMax));
    const std::string& wanted = candidate_.task().solution().patch_digest();
    const std::string found = Sha256Hex(*patch);
    if (found != wanted) {
      return Differs(file, "its digest is " + found + ", and the record says " + wanted);
    }
    return blobs_.Put(*patch).status();
  }

  // The tree of an archive, which is put into the store where it is the one that the record names.
  Status ReadTree(const std::string& file, const std::string& wanted) {
    FileTree tree;
    if (digests_.contains(file)) {
      TASKMINT_ASSIGN_OR_RETURN(const auto bytes, File(file, kArchiveBytesMax));
      TASKMINT_ASSIGN_OR_RETURN(tree, ReadArchive(*bytes, PathIn(place_.path, file)));
    } else if (wanted != TreeDigest(tree)) {
      return Differs(file, "it is not there");
    }
    const std::string found = TreeDigest(tree);
    if (found != wanted) {
      return Differs(file, "it holds the tree " + found + ", and the record says " + wanted);
    }
    return blobs_.PutTree(tree).status();
  }

  Status ReadTrees() {
    TASKMINT_RETURN_IF_ERROR(
        ReadTree(harbor() ? kHarborRepository : kSwebenchRepository, environment().tree_digest()));
    TASKMINT_RETURN_IF_ERROR(
        ReadTree(kSideOverlay, candidate_.task().verifier().tests().overlay_digest()));
    for (const v1::Layer& layer : environment().layers()) {
      const std::string file =
          (harbor() ? "environment/" : "") + LayerArchiveName(layer.tree_digest());
      const auto archive = digests_.find(file);
      if (archive == digests_.end()) return Differs(file, "it is not there");
      std::string& known = known_[archive->second];
      if (known == layer.tree_digest()) continue;
      TASKMINT_RETURN_IF_ERROR(ReadTree(file, layer.tree_digest()));
      known = layer.tree_digest();
    }
    return OkStatus();
  }

  // Logs that the evidence names; those that did not come along are no longer named.
  Status ReadLogs() {
    std::set<std::string> there;
    if (digests_.contains(kSideLogs)) {
      TASKMINT_ASSIGN_OR_RETURN(const auto bytes, File(kSideLogs, kArchiveBytesMax));
      TASKMINT_ASSIGN_OR_RETURN(const FileTree logs,
                                ReadArchive(*bytes, PathIn(place_.path, kSideLogs)));
      for (const auto& [name, entry] : logs.files()) {
        if (Sha256Hex(*entry.content) != name) {
          return Differs(kSideLogs, "the log " + OneLine(name.substr(0, 80)) +
                                        " has another digest than its name says");
        }
        TASKMINT_RETURN_IF_ERROR(blobs_.Put(*entry.content).status());
        there.insert(name);
      }
    }
    for (v1::Evidence& row : *candidate_.mutable_evidence()) {
      if (!there.contains(row.log_digest())) row.clear_log_digest();
      for (v1::Attempt& attempt : *row.mutable_attempts()) {
        if (!there.contains(attempt.log_digest())) attempt.clear_log_digest();
      }
    }
    return OkStatus();
  }

  ForeignFolder& folder_;
  const ForeignTaskPlace& place_;
  BlobStore& blobs_;
  KnownLayers& known_;
  FileDigests digests_;
  std::string claimed_id_;
  v1::Candidate candidate_;
};

// Nothing where `path` holds no task of ours.
std::vector<ForeignTaskPlace> PlaceAt(ForeignFolder& folder, const std::string& path) {
  if (!folder.HasFile(PathIn(path, kSideRecord))) return {};
  if (folder.HasFile(PathIn(path, "task.toml"))) return {{path, ExportFormat::kHarbor, "", ""}};
  if (folder.HasFile(PathIn(path, "task.yaml"))) return {{path, ExportFormat::kSwebench, "", ""}};
  return {};
}

}  // namespace

std::string ExportFormatName(ExportFormat format) {
  return format == ExportFormat::kHarbor ? "harbor" : "swebench";
}

Result<std::vector<ForeignTaskPlace>> FindForeignTasks(ForeignFolder& folder) {
  if (auto alone = PlaceAt(folder, ""); !alone.empty()) return alone;
  const auto names = folder.Folders("tasks");
  if (names.status().code() == Code::kNotFound || (names.ok() && names->empty())) {
    return NotAsSaid(OneLine(folder.name()),
                     std::string("this is no export of taskmint: neither ") + kSideRecord +
                         " nor tasks/ with tasks is in it (rows of trajectories, as atif and chat "
                         "have them, are not imported)");
  }
  TASKMINT_RETURN_IF_ERROR(names.status());
  TASKMINT_ASSIGN_OR_RETURN(auto digests, ReadDataset(folder));
  const bool listed = !digests.empty();
  std::vector<ForeignTaskPlace> places;
  for (const std::string& name : *names) {
    const auto found = PlaceAt(folder, "tasks/" + name);
    ForeignTaskPlace place = found.empty()
                                 ? ForeignTaskPlace{"tasks/" + name, ExportFormat::kHarbor, "", ""}
                                 : found.front();
    if (found.empty()) {
      place.refusal = "tasks/" + OneLine(name) + ": this is no task of taskmint's: it needs " +
                      kSideRecord + " and task.toml or task.yaml";
    } else if (const auto digest = digests.find(name); digest != digests.end()) {
      place.content_hash = digest->second;
      digests.erase(digest);
    } else if (listed) {
      place.refusal = "tasks/" + OneLine(name) + ": dataset.toml does not name it";
    }
    places.push_back(std::move(place));
  }
  if (!digests.empty()) {
    return NotAsSaid("dataset.toml",
                     "it names " + OneLine(digests.begin()->first) + ", which is not below tasks/");
  }
  return places;
}

Result<v1::Candidate> ReadForeignTask(ForeignFolder& folder, const ForeignTaskPlace& place,
                                      BlobStore& blobs, KnownLayers& known) {
  return TaskReader(folder, place, blobs, known).Read();
}

}  // namespace taskmint::datasets
