#include "environments/repository/imported_files.h"

#include <re2/re2.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "environments/errors.h"
#include "environments/repository/git_repository.h"
#include "environments/repository/prompt_cleaning.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;

bool IsWanted(const std::string& path, const FileEntry& entry) {
  static const RE2 kObject(R"(objects/(?:[0-9a-f]{2}/[0-9a-f]{38}|pack/[\w-]+\.(?:pack|idx)))");
  static const RE2 kReference(R"(refs/(?s:.*))");
  if (entry.kind == FileEntry::Kind::kSymlink) return false;
  return path == "packed-refs" || path == "shallow" || RE2::FullMatch(path, kObject) ||
         RE2::FullMatch(path, kReference);
}

std::set<std::string> Branches(const FileTree& files) {
  std::set<std::string> branches;
  for (const auto& [path, entry] : files.files()) {
    if (path.starts_with("refs/heads/")) branches.insert(path);
  }
  if (const FileEntry* packed = files.Find("packed-refs")) {
    static const RE2 kLine(R"([0-9a-f]{40} (refs/heads/\S+))");
    for (const std::string_view line : LinesOf(*packed->content)) {
      std::string name;
      if (RE2::FullMatch(re2::StringPiece(line.data(), line.size()), kLine, &name)) {
        branches.insert(name);
      }
    }
  }
  return branches;
}

// HEAD's content: as cloned where that exists, else the branch that is most likely meant. Bundles
// often name no HEAD. Empty when there is nothing to point to.
std::string HeadContent(const FileTree& files) {
  static const RE2 kDetached("[0-9a-f]{40}\n?");
  static const RE2 kSymbolic("ref: (refs/heads/\\S+)\n?");
  const FileEntry* head = files.Find("HEAD");
  std::string content = head == nullptr ? "" : *head->content;
  if (RE2::FullMatch(content, kDetached)) return content;
  const std::set<std::string> branches = Branches(files);
  std::string target;
  if (RE2::FullMatch(content, kSymbolic, &target) && branches.contains(target)) return content;
  for (const char* name : {"refs/heads/main", "refs/heads/master", "refs/heads/trunk"}) {
    if (branches.contains(name)) return "ref: " + std::string(name) + "\n";
  }
  return branches.empty() ? "" : "ref: " + *branches.begin() + "\n";
}

Status WriteFile(const fs::path& path, const std::string& content) {
  errno = 0;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!error && out) return OkStatus();
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return Error(full ? Code::kResourceExhausted : Code::kInternal,
               "cannot write '" + Printable(path.string()) +
                   "': " + (error ? error.message() : std::generic_category().message(errno)) +
                   (full ? "; make room and start again" : ""));
}

Status WriteAll(const FileTree& files, const std::string& head, const std::string& origin_url,
                const fs::path& folder) {
  for (const auto& [path, entry] : files.files()) {
    if (IsWanted(path, entry)) TASKMINT_RETURN_IF_ERROR(WriteFile(folder / path, *entry.content));
  }
  std::error_code ignored;
  fs::create_directories(folder / "refs", ignored);
  fs::create_directories(folder / "objects", ignored);
  std::string config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
  if (!origin_url.empty()) config += "[remote \"origin\"]\n\turl = \"" + origin_url + "\"\n";
  TASKMINT_RETURN_IF_ERROR(WriteFile(folder / "config", config));
  return WriteFile(folder / "HEAD", head);
}

// Gives the folder `partial` its name, and returns it.
Result<fs::path> Publish(const fs::path& partial, const fs::path& folder,
                         const std::function<std::string(const std::string& head)>& name) {
  std::string head;
  {
    TASKMINT_ASSIGN_OR_RETURN(const auto repository, GitRepository::Open(partial.string()));
    TASKMINT_ASSIGN_OR_RETURN(head, repository->Head());
  }
  const fs::path path = folder / name(head);
  std::error_code error;
  fs::rename(partial, path, error);
  if (!error) return path;
  // Another process was faster: its import is as good.
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    fs::remove_all(partial, ignored);
    return path;
  }
  return Error(Code::kInternal,
               "cannot name '" + Printable(path.string()) + "': " + error.message());
}

}  // namespace

Result<fs::path> WriteImported(const FileTree& files, const std::string& origin_url,
                               const fs::path& folder,
                               const std::function<std::string(const std::string& head)>& name) {
  const FileEntry* config = files.Find("config");
  if (config != nullptr && RE2::PartialMatch(*config->content, "(?i)objectformat\\s*=\\s*sha256")) {
    return Error(Code::kFailedPrecondition,
                 "stores its objects as sha256, which is not supported: convert it with git " +
                     std::string("fast-export and git fast-import"));
  }
  const std::string head = HeadContent(files);
  if (head.empty()) {
    return Error(Code::kFailedPrecondition,
                 "is an empty repository, it has no commits yet: name another one");
  }
  const fs::path partial =
      folder / ("partial-" + std::to_string(getpid()) + "-" + std::to_string(SystemRandom()));
  const Status written = WriteAll(files, head, origin_url, partial);
  Result<fs::path> path = written.ok() ? Publish(partial, folder, name) : Result<fs::path>(written);
  std::error_code ignored;
  if (!path.ok()) fs::remove_all(partial, ignored);
  return path;
}

}  // namespace taskmint::environments
