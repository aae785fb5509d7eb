#include "orchestrator/serving/export_call.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "datasets/exported_task.h"
#include "orchestrator/export_report.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/random.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 1 << 20;

fs::path FolderOfExports(const std::string& cache) {
  return fs::absolute(fs::path(cache) / "exports");
}

// A folder that is gone when nobody needs it any more.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& cache) {
    const std::string name = Sha256Hex(std::to_string(SystemRandom())).substr(0, 16);
    path_ = FolderOfExports(cache) / name;
    std::error_code ignored;
    fs::create_directories(path_, ignored);  // who writes there says so
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Status NoFormat(const std::string& format) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          "format '" + format.substr(0, 20) + "' is none of harbor, swebench, atif, chat"};
}

Result<std::string> NameOf(const v1::ExportRequest& request) {
  const std::string name = request.name().empty() ? "taskmint/tasks" : request.name();
  const size_t slash = name.find('/');
  const bool good = slash != std::string::npos &&
                    name.substr(0, slash) == datasets::PortableName(name.substr(0, slash)) &&
                    name.substr(slash + 1) == datasets::PortableName(name.substr(slash + 1));
  if (good) return name;
  return Status(Code::kInvalidArgument, Boundary::kConfig,
                "name is not of the form org/name in [a-z0-9._-]");
}

// Writes the export to `out`; its report.
Result<nlohmann::json> Write(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                             const v1::ExportRequest& asked, const std::string& out,
                             std::stop_token stop) {
  ExportChoice choice;
  choice.licence_unknown_ok = asked.licence_unknown_ok();
  choice.near_duplicates_ok = asked.near_duplicates_ok();
  const std::string split = asked.split().empty() ? "train" : asked.split();
  TASKMINT_ASSIGN_OR_RETURN(const std::string name, NameOf(asked));
  if (split != datasets::PortableName(split)) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, "split is no word of [a-z0-9._-]");
  }
  nlohmann::json report;
  if (asked.format() == "atif" || asked.format() == "chat") {
    const bool chat = asked.format() == "chat";
    const TrajectoryExportRequest request = {
        chat ? TrajectoryFormat::kChat : TrajectoryFormat::kAtif,
        out,
        asked.where(),
        name,
        split,
        choice,
        chat ? 1.0 : 0.0,
        false};
    TASKMINT_ASSIGN_OR_RETURN(const auto summary, ExportTrajectories(store, request, stop));
    report = ExportReport(request, summary);
  } else if (asked.format() == "harbor" || asked.format() == "swebench") {
    ExportRequest request;
    request.format = asked.format() == "harbor" ? datasets::ExportFormat::kHarbor
                                                : datasets::ExportFormat::kSwebench;
    request.out = out;
    request.where = asked.where();
    request.name = name;
    request.split = split;
    request.choice = choice;
    request.jobs = std::max(1U, std::thread::hardware_concurrency());
    TASKMINT_ASSIGN_OR_RETURN(
        const auto summary,
        ExportTasks(store, request, asked.no_prove() ? nullptr : &sandboxes, nullptr, stop));
    report = ExportReport(request, summary);
  } else {
    return NoFormat(asked.format());
  }
  report["out"] = nullptr;  // the client's, not the server's
  return report;
}

// Sends what one file holds.
class FileSender {
 public:
  explicit FileSender(const SendChunk& send) : send_(send) {}

  Status Send(const fs::path& path, const std::string& relative) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
      return {Code::kDataLoss, Boundary::kStore, "the exported " + relative + " is gone"};
    }
    v1::ExportChunk chunk;
    chunk.set_path(relative);
    chunk.set_executable((status.st_mode & S_IXUSR) != 0);
    if (status.st_nlink > 1) {
      const auto [sent, is_new] = sent_.try_emplace(status.st_ino, relative);
      if (!is_new) {
        chunk.set_same_as(sent->second);
        return Give(chunk);
      }
    }
    std::ifstream file(path, std::ios::binary);
    std::string& data = *chunk.mutable_data();
    do {
      data.resize(kChunkBytes);
      file.read(data.data(), static_cast<std::streamsize>(data.size()));
      data.resize(static_cast<size_t>(file.gcount()));
      if (file.bad() || (data.empty() && chunk.path().empty())) break;
      TASKMINT_RETURN_IF_ERROR(Give(chunk));
      chunk.clear_path();
    } while (file);
    if (!file.eof()) {
      return {Code::kDataLoss, Boundary::kStore, "cannot read the exported " + relative};
    }
    return OkStatus();
  }
  Status Give(const v1::ExportChunk& chunk) const {
    if (send_(chunk)) return OkStatus();
    return {Code::kCancelled, Boundary::kNone, "nobody takes the export any more"};
  }

 private:
  const SendChunk& send_;
  std::map<ino_t, std::string> sent_;
};

// The regular files below `out`, sorted; none where an export of no task wrote no folder.
Result<std::vector<fs::path>> FilesBelow(const fs::path& out) {
  std::vector<fs::path> paths;
  std::error_code error;
  fs::recursive_directory_iterator it(out, error);
  if (error == std::errc::no_such_file_or_directory) return paths;
  while (!error && it != fs::recursive_directory_iterator()) {
    const fs::file_status status = it->symlink_status(error);
    if (!error && fs::is_regular_file(status)) paths.push_back(it->path());
    if (!error) it.increment(error);
  }
  if (error) {
    return Status(Code::kDataLoss, Boundary::kStore,
                  "cannot list what was exported: " + error.message());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

void RemoveLeftExports(const datasets::Store& store) {
  std::error_code ignored;
  fs::remove_all(FolderOfExports(store.cache_folder()), ignored);
}

Status SendExport(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                  const v1::ExportRequest& request, const SendChunk& send, std::stop_token stop) {
  const ScratchFolder scratch(store.cache_folder());
  const fs::path out = scratch.path() / "export";
  TASKMINT_ASSIGN_OR_RETURN(const nlohmann::json report,
                            Write(store, sandboxes, request, out.string(), stop));
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, FilesBelow(out));
  FileSender sender(send);
  for (const fs::path& path : paths) {
    if (stop.stop_requested()) return {Code::kCancelled, Boundary::kNone, "interrupted"};
    TASKMINT_RETURN_IF_ERROR(sender.Send(path, path.lexically_relative(out).string()));
  }
  v1::ExportChunk last;
  last.set_summary_json(DumpJson(report));
  return sender.Give(last);
}

}  // namespace taskmint::orchestrator
