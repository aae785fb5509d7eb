#include "orchestrator/container_image.h"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

#include "datasets/archive.h"
#include "datasets/exported_task.h"
#include "datasets/folder_writing.h"
#include "orchestrator/run_context.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr uint64_t kDockerfileSizeMax = 1 << 20;
constexpr uint64_t kArchiveBytesMax = uint64_t{4} << 30;
constexpr uint64_t kCopiedBytesMax = uint64_t{256} << 20;
constexpr int64_t kImageFileTime = 1'577'836'800;  // 2020-01-01, as runs have it
constexpr int64_t kRecipeCommandMsMax = 600'000;
constexpr char kContents[] = "contents";

Status NotHere(const std::string& what) {
  return {Code::kFailedPrecondition, Boundary::kConfig, what};
}

// Whether `image` ("debian:bookworm-slim", "ubuntu:24.04") is the release that this machine runs.
bool IsRelease(const std::string& image, const std::string& base_name) {
  std::string tag = image.substr(image.find(':') + 1);
  if (tag.ends_with("-slim")) tag.resize(tag.size() - 5);
  const bool debian = image.starts_with("debian:");
  if (base_name.starts_with("Debian") != debian) return false;
  const std::string name = base_name + " ";
  if (name.find("(" + tag + ")") != std::string::npos) return true;
  for (const char* end : {" ", "."}) {
    if (name.find(" " + tag + end) != std::string::npos) return true;
  }
  return false;
}

bool IsBelowOrAt(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

class ContainerImage::Maker {
 public:
  Maker(const ImageBuilder& builder, datasets::ForeignFolder& task, std::string folder,
        std::string context, std::stop_token stop)
      : builder_(builder),
        task_(task),
        host_context_(context.empty() ? folder : folder + "/" + context),
        context_(std::move(context)),
        stop_(std::move(stop)) {}

  Result<ContainerImage> Make() {
    TASKMINT_ASSIGN_OR_RETURN(const auto text,
                              task_.Read(InContext("Dockerfile"), kDockerfileSizeMax));
    auto recipe = ParseContainerRecipe(*text);
    if (!recipe.ok()) return recipe.status().WithContext(context_.empty() ? "task" : context_);
    recipe_ = *std::move(recipe);
    TASKMINT_RETURN_IF_ERROR(CheckBase());
    if (recipe_.work_folder == "/") return NotHere("the Dockerfile names no WORKDIR");
    image_.spec_.work_path = recipe_.work_folder;
    image_.spec_.variables = recipe_.variables;
    for (const auto& step : recipe_.steps) {
      TASKMINT_RETURN_IF_ERROR(std::visit([&](const auto& one) { return Take(one); }, step));
    }
    for (const std::string& path : folders_) {
      if (!IsCovered(path)) image_.spec_.scratch_paths.push_back(path);
    }
    return std::move(image_);
  }

 private:
  std::string InContext(const std::string& path) const {
    return context_.empty() ? path : context_ + "/" + path;
  }

  Status CheckBase() {
    TASKMINT_ASSIGN_OR_RETURN(const sandbox::BaseLayer base, sandbox::ReadBaseLayer());
    if (!IsRelease(recipe_.image, base.name)) {
      return NotHere("the image starts from " + recipe_.image + ", and this machine is " +
                     base.name);
    }
    std::string missing;
    for (const auto& step : recipe_.steps) {
      const auto* install = std::get_if<ContainerRecipe::Install>(&step);
      if (install == nullptr) continue;
      for (const std::string& package : install->packages) {
        if (base.packages.contains(package)) continue;
        missing += (missing.empty() ? "" : " ") + package;
      }
    }
    if (missing.empty()) return OkStatus();
    return NotHere("the image has packages that this machine lacks: apt-get install " + missing);
  }

  // Whether something else is put into the folder, or into one around it.
  bool IsWritten(const std::string& folder) const {
    if (IsBelowOrAt(recipe_.work_folder, folder) || IsBelowOrAt(folder, recipe_.work_folder)) {
      return true;
    }
    int writers = 0;
    for (const auto& step : recipe_.steps) {
      std::string place;
      if (const auto* unpack = std::get_if<ContainerRecipe::Unpack>(&step)) place = unpack->folder;
      if (const auto* copy = std::get_if<ContainerRecipe::Copy>(&step)) {
        place = copy->destination;
        while (place.size() > 1 && place.ends_with('/')) place.pop_back();
      }
      if (place.empty()) continue;
      writers += IsBelowOrAt(place, folder) || IsBelowOrAt(folder, place) ? 1 : 0;
    }
    return writers > 1;
  }

  bool IsCovered(const std::string& path) const {
    if (IsBelowOrAt(path, image_.spec_.work_path)) return true;
    for (const auto& mount : image_.spec_.mounts) {
      if (IsBelowOrAt(path, mount.inside_path)) return true;
    }
    return std::any_of(folders_.begin(), folders_.end(), [&](const std::string& other) {
      return path != other && IsBelowOrAt(path, other);
    });
  }

  Status Take(const ContainerRecipe::Install&) { return OkStatus(); }

  Status Take(const ContainerRecipe::Unpack& step) {
    const std::string archive = InContext(step.archive);
    if (IsWritten(step.folder)) {
      TASKMINT_ASSIGN_OR_RETURN(FileTree tree, ReadArchive(archive));
      return Put(step.folder, std::move(tree));
    }
    TASKMINT_ASSIGN_OR_RETURN(std::string path, Unpacked(archive, step.folder));
    image_.spec_.mounts.push_back({std::move(path), step.folder, false});
    return OkStatus();
  }

  Status Take(const ContainerRecipe::Copy& step) {
    std::string place = step.destination;
    const bool folder = place.ends_with('/');
    while (place.size() > 1 && place.ends_with('/')) place.pop_back();
    const std::string source = step.source == "." ? context_ : InContext(step.source);
    if (step.source != "." && task_.HasFile(source)) {
      TASKMINT_ASSIGN_OR_RETURN(FileEntry entry, ReadFile(source));
      const std::string name =
          folder ? source.substr(source.rfind('/') + 1) : place.substr(place.rfind('/') + 1);
      FileTree tree;
      TASKMINT_RETURN_IF_ERROR(tree.Set(name, std::move(entry)));
      return Put(folder ? place : ParentOf(place), std::move(tree));
    }
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> paths, task_.Files(source));
    if (!IsWritten(place)) {
      const std::string host =
          step.source == "." ? host_context_ : host_context_ + "/" + step.source;
      image_.spec_.mounts.push_back({std::filesystem::absolute(host).string(), place, false});
      return OkStatus();
    }
    FileTree tree;
    for (const std::string& path : paths) {
      TASKMINT_ASSIGN_OR_RETURN(
          FileEntry entry,
          ReadFile(source.empty() ? path : (std::filesystem::path(source) / path).string()));
      TASKMINT_RETURN_IF_ERROR(tree.Set(path, std::move(entry)));
    }
    return Put(place, std::move(tree));
  }

  Status Take(const ContainerRecipe::Folder& step) {
    folders_.insert(step.path);
    if (step.path != recipe_.work_folder && IsBelowOrAt(step.path, recipe_.work_folder)) {
      image_.commands_.push_back({{"mkdir", "-p", step.path}, "/"});
    }
    return OkStatus();
  }

  // A second name of the work folder at the root, which is read-only here, is left out: nothing
  // that is run here needs it.
  Status Take(const ContainerRecipe::Link& step) {
    if (ParentOf(step.path) != "/") {
      image_.commands_.push_back({{"ln", "-s", step.target, step.path}, "/"});
    }
    return OkStatus();
  }

  Status Take(const ContainerRecipe::Command& step) {
    image_.commands_.push_back({step.argv, step.folder == "/" ? "/" : step.folder});
    return OkStatus();
  }

  Status Put(const std::string& folder, FileTree tree) {
    if (folder != "/") folders_.insert(folder);
    image_.files_.emplace_back(folder, std::move(tree));
    return OkStatus();
  }

  Result<FileEntry> ReadFile(const std::string& path) {
    FileEntry entry;
    TASKMINT_ASSIGN_OR_RETURN(entry.content, task_.Read(path, kCopiedBytesMax));
    std::error_code error;
    const std::string host =
        host_context_ + "/" + (context_.empty() ? path : path.substr(context_.size() + 1));
    const auto mode = std::filesystem::symlink_status(host, error).permissions();
    const bool executable =
        (mode & std::filesystem::perms::owner_exec) != std::filesystem::perms::none;
    if (!error && executable) entry.kind = FileEntry::Kind::kExecutable;
    return entry;
  }

  Result<FileTree> ReadArchive(const std::string& path) {
    TASKMINT_ASSIGN_OR_RETURN(const auto bytes, task_.Read(path, kArchiveBytesMax));
    return datasets::ReadArchive(*bytes, path);
  }

  // The host folder of an archive's files and what the driver derives from them.
  Result<std::string> Unpacked(const std::string& archive, const std::string& folder) {
    namespace fs = std::filesystem;
    static auto* locks = new BuildLocks();
    TASKMINT_ASSIGN_OR_RETURN(const std::string digest, task_.Digest(archive, kArchiveBytesMax));
    const std::string place = fs::absolute(builder_.cache_folder).string() + "/" + digest;
    const std::shared_ptr<std::mutex> mutex = locks->For(place);
    const std::lock_guard lock(*mutex);
    std::error_code error;
    if (fs::is_directory(place + "/" + kContents, error)) return place + "/" + kContents;
    fs::create_directories(builder_.cache_folder, error);
    if (error) {
      return Status(Code::kUnavailable, Boundary::kStore,
                    "cannot make the folder " + builder_.cache_folder + ": " + error.message());
    }
    datasets::TaskFolder files;
    TASKMINT_ASSIGN_OR_RETURN(const FileTree tree, ReadArchive(archive));
    for (const auto& [path, entry] : tree.files()) {
      TASKMINT_RETURN_IF_ERROR(files.files.Set(std::string(kContents) + "/" + path, entry));
    }
    TASKMINT_RETURN_IF_ERROR(datasets::WriteTaskFolder(files, place));
    if (builder_.driver != nullptr) TASKMINT_RETURN_IF_ERROR(Derive(tree, folder, place));
    return place + "/" + kContents;
  }

  // What spares time, as bytes compiled from sources do: without it everything works as well.
  Status Derive(const FileTree& tree, const std::string& folder, const std::string& place) {
    const std::string contents = place + "/" + kContents;
    auto derived =
        builder_.driver->DerivedFiles(builder_.sandboxes, {contents, folder, false}, stop_);
    if (!derived.ok()) {
      std::error_code ignored;
      std::filesystem::remove_all(place, ignored);
      return derived.status();
    }
    for (const auto& [path, entry] : derived->files()) {
      if (tree.Contains(path)) continue;
      const std::filesystem::path whole = std::filesystem::path(contents) / path;
      std::error_code error;
      std::filesystem::create_directories(whole.parent_path(), error);
      if (error || !datasets::WriteFileWhole(whole.string(), *entry.content).ok()) break;
    }
    return OkStatus();
  }

  const ImageBuilder& builder_;
  datasets::ForeignFolder& task_;
  const std::string host_context_;
  const std::string context_;
  const std::stop_token stop_;
  ContainerRecipe recipe_;
  std::set<std::string> folders_;
  ContainerImage image_;
};

Result<ContainerImage> ContainerImage::Make(const ImageBuilder& builder,
                                            datasets::ForeignFolder& task,
                                            const std::string& folder, const std::string& context,
                                            std::stop_token stop) {
  return Maker(builder, task, folder, context, std::move(stop)).Make();
}

Result<std::unique_ptr<sandbox::Sandbox>> ContainerImage::Open(
    sandbox::SandboxHost& sandboxes, const std::vector<std::string>& scratch_paths,
    std::stop_token stop) const {
  sandbox::SandboxSpec spec = spec_;
  for (const std::string& path : scratch_paths) {
    const auto& had = spec.scratch_paths;
    if (std::find(had.begin(), had.end(), path) == had.end()) spec.scratch_paths.push_back(path);
  }
  TASKMINT_ASSIGN_OR_RETURN(std::unique_ptr<sandbox::Sandbox> opened, sandboxes.Open(spec, stop));
  for (const auto& [folder, tree] : files_) {
    TASKMINT_RETURN_IF_ERROR(opened->Put(tree, folder, kImageFileTime));
  }
  for (const ContainerRecipe::Command& step : commands_) {
    sandbox::Command command;
    command.argv = step.argv;
    command.folder = step.folder;
    command.wall_ms_max = kRecipeCommandMsMax;
    TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult result, opened->Run(command, stop));
    if (result.ending != sandbox::Ending::kExited || result.exit_code != 0) {
      return NotHere("RUN " + step.argv[0] + " ended with " + std::to_string(result.exit_code) +
                     ": " + CutMiddle(OneLine(result.error_output), 500));
    }
  }
  return opened;
}

}  // namespace taskmint::orchestrator
