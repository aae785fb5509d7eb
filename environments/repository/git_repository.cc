#include "environments/repository/git_repository.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "environments/errors.h"
#include "environments/repository/git_tree_walk.h"
#include "environments/repository/libgit2.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCommitBytesMax = 4 << 20;

std::string Quoted(const std::string& path) { return "'" + Printable(path) + "'"; }

// Why `path` cannot even be looked at, or OK.
Status CheckReadable(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == EACCES) {
      return Error(Code::kFailedPrecondition,
                   Quoted(path) + " cannot be read by this user: run as its owner or change the " +
                       "permissions of it and of the folders above");
    }
    return Error(Code::kNotFound, "no such path: " + Quoted(path));
  }
  if (!S_ISDIR(info.st_mode)) {
    return Error(Code::kNotFound, Quoted(path) + " is not a folder, so it is no git repository");
  }
  if (access(path.c_str(), R_OK | X_OK) != 0) {
    return Error(
        Code::kFailedPrecondition,
        Quoted(path) + " cannot be read by this user: run as its owner or `chmod -R u+rX`");
  }
  return OkStatus();
}

// The object format that a repository's configuration names, empty when it names none.
std::string ConfiguredFormat(const std::string& path, const char* key) {
  for (const char* place : {"/.git/config", "/config"}) {
    git_config* config = nullptr;
    std::error_code ignored;
    if (!fs::is_regular_file(path + place, ignored)) continue;
    if (git_config_open_ondisk(&config, (path + place).c_str()) != 0) continue;
    const GitConfigHandle owner(config);
    git_buf value = GIT_BUF_INIT;
    std::string text;
    if (git_config_get_string_buf(&value, config, key) == 0) text = value.ptr;
    git_buf_dispose(&value);
    if (!text.empty()) return text;
  }
  return "";
}

Status ExplainOpenFailure(const std::string& path, int code) {
  const std::string error = LastGitError();
  if (ConfiguredFormat(path, "extensions.objectformat") == "sha256" ||
      error.find("objectformat") != std::string::npos ||
      error.find("sha256") != std::string::npos) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path) + " stores its objects as sha256, which is not supported: convert " +
                     "it with `git fast-export --all | git -C NEW fast-import` into a repository " +
                     "made by `git init --object-format=sha1 NEW`");
  }
  if (!ConfiguredFormat(path, "extensions.refstorage").empty()) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path) + " stores its references as reftable, which is not supported: " +
                     "`git refs migrate --ref-format=files` in a copy of it");
  }
  if (code != GIT_ENOTFOUND) {
    return Error(Code::kFailedPrecondition, Quoted(path) +
                                                " cannot be opened as a git repository: " + error +
                                                "; `git fsck` there says more");
  }
  const std::string marker = path + "/.git";
  if (access((path + "/HEAD").c_str(), F_OK) == 0 || access(marker.c_str(), F_OK) == 0) {
    const std::string head = fs::is_directory(marker) ? marker + "/HEAD" : path + "/HEAD";
    if (access(head.c_str(), F_OK) == 0 && access(head.c_str(), R_OK) != 0) {
      return Error(Code::kFailedPrecondition,
                   Quoted(path) + " cannot be read by this user: run as its owner");
    }
    return Error(Code::kNotFound, Quoted(path) + " is not a usable git repository (" + error +
                                      "); `git fsck` there says more");
  }
  return Error(Code::kNotFound, Quoted(path) +
                                    " is not a git repository: name the top folder of a " +
                                    "work tree or a bare repository");
}

// What explains missing objects: "; the clone is shallow: ..." or empty.
std::string MissingHint(git_repository* repository) {
  const std::string common = git_repository_commondir(repository);
  std::ifstream alternates(common + "objects/info/alternates");
  std::string line;
  while (std::getline(alternates, line)) {
    if (line.empty() || line[0] == '#') continue;
    const fs::path store = line[0] == '/' ? fs::path(line) : fs::path(common + "objects") / line;
    std::error_code ignored;
    if (!fs::is_directory(store, ignored)) {
      return "; its objects/info/alternates points to " + Quoted(line) +
             ", which does not exist: bring that back, or clone from the original again";
    }
  }
  if (git_repository_is_shallow(repository) == 1) {
    return "; the clone is shallow: `git fetch --unshallow` in it";
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(common + "objects/pack", ignored)) {
    if (entry.path().extension() == ".promisor") {
      return "; the clone is partial: clone again without --filter";
    }
  }
  return "";
}

// Parents as the commit records them: libgit2 1.7 and later hides those beyond a shallow clone's
// edge.
std::vector<std::string> RecordedParents(const char* header) {
  std::vector<std::string> parents;
  std::string_view rest = header == nullptr ? "" : header;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (line.starts_with("parent ") && line.size() == 7 + GIT_OID_HEXSZ) {
      parents.emplace_back(line.substr(7));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return parents;
}

class LibgitRepository final : public GitRepository {
 public:
  LibgitRepository(GitRepositoryHandle repository, GitOdbHandle odb, std::string path)
      : repository_(std::move(repository)),
        odb_(std::move(odb)),
        path_(std::move(path)),
        missing_hint_(MissingHint(repository_.get())),
        objects_(odb_.get(), missing_hint_) {}

  Result<std::string> Head() override;
  Result<std::vector<CommitInfo>> Commits(const std::string& head, std::stop_token stop) override;
  Result<CommitInfo> ReadCommit(const std::string& sha) override;
  Result<std::vector<PathChange>> Changes(const std::string& from, const std::string& to,
                                          const ReadLimits& limits) override;
  Result<FileTree> ReadTree(const std::string& sha, const ReadLimits& limits) override;
  Result<std::vector<std::string>> ReadPaths(const std::string& sha,
                                             const ReadLimits& limits) override;
  Result<std::optional<std::string>> ReadTopFile(const std::string& sha, const std::string& name,
                                                 uint64_t bytes_max) override;
  std::string OriginUrl() override;

 private:
  Status ExplainUnbornHead();
  Result<GitCommitHandle> Lookup(const std::string& sha);
  Result<git_oid> TreeOf(const std::string& sha);

  GitRepositoryHandle repository_;
  GitOdbHandle odb_;
  std::string path_;
  std::string missing_hint_;
  GitObjectReader objects_;
};

Status LibgitRepository::ExplainUnbornHead() {
  git_reference* head = nullptr;
  std::string target;
  if (git_reference_lookup(&head, repository_.get(), "HEAD") == 0) {
    const GitReferenceHandle owner(head);
    if (const char* name = git_reference_symbolic_target(head)) target = name;
  }
  git_strarray names{};
  std::string other;
  if (git_reference_list(&names, repository_.get()) == 0) {
    for (size_t i = 0; i < names.count && other.empty(); ++i) {
      if (std::string_view(names.strings[i]).starts_with("refs/heads/")) other = names.strings[i];
    }
    git_strarray_dispose(&names);
  }
  if (!other.empty()) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path_) + ": HEAD points to " + Printable(target) +
                     ", which does not exist: `git symbolic-ref HEAD " + Printable(other) +
                     "` in it, or another branch of yours");
  }
  return Error(Code::kFailedPrecondition,
               Quoted(path_) +
                   " is an empty repository, it has no commits yet: commit something, " +
                   "or name another one");
}

Result<std::string> LibgitRepository::Head() {
  git_oid id;
  const int code = git_reference_name_to_id(&id, repository_.get(), "HEAD");
  if (code == GIT_ENOTFOUND) return ExplainUnbornHead();
  if (code != 0) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path_) + ": HEAD cannot be resolved: " + LastGitError());
  }
  git_object* object = nullptr;
  if (git_object_lookup(&object, repository_.get(), &id, GIT_OBJECT_ANY) != 0) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path_) + ": HEAD's commit " + HexOf(id) + " is missing" + missing_hint_);
  }
  const GitObjectHandle owner(object);
  git_object* commit = nullptr;
  if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) != 0) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path_) + ": HEAD is no commit: " + LastGitError());
  }
  const GitObjectHandle commit_owner(commit);
  return HexOf(*git_object_id(commit));
}

Result<GitCommitHandle> LibgitRepository::Lookup(const std::string& sha) {
  git_oid id;
  if (sha.size() != GIT_OID_HEXSZ || git_oid_fromstr(&id, sha.c_str()) != 0) {
    return Error(Code::kNotFound, "'" + Printable(sha) + "' is not a full commit SHA");
  }
  TASKMINT_RETURN_IF_ERROR(objects_.Check(id, GIT_OBJECT_COMMIT, kCommitBytesMax));
  git_commit* commit = nullptr;
  if (git_commit_lookup(&commit, repository_.get(), &id) != 0) {
    return Error(Code::kDataLoss, "commit " + sha + " is damaged: " + LastGitError());
  }
  return GitCommitHandle(commit);
}

Result<CommitInfo> LibgitRepository::ReadCommit(const std::string& sha) {
  TASKMINT_ASSIGN_OR_RETURN(const GitCommitHandle commit, Lookup(sha));
  CommitInfo info;
  info.sha = sha;
  info.parents = RecordedParents(git_commit_raw_header(commit.get()));
  if (const char* message = git_commit_message(commit.get())) info.message = message;
  if (const git_signature* author = git_commit_author(commit.get())) {
    info.author_time_s = author->when.time;
  }
  info.commit_time_s = git_commit_time(commit.get());
  return info;
}

Result<std::vector<CommitInfo>> LibgitRepository::Commits(const std::string& head,
                                                          std::stop_token stop) {
  std::vector<CommitInfo> commits;
  const auto older = [](const CommitInfo& a, const CommitInfo& b) {
    return a.commit_time_s != b.commit_time_s ? a.commit_time_s < b.commit_time_s : a.sha < b.sha;
  };
  std::priority_queue<CommitInfo, std::vector<CommitInfo>, decltype(older)> queue(older);
  std::unordered_set<std::string> seen{head};
  Result<CommitInfo> first = ReadCommit(head);
  if (!first.ok()) {
    return Error(first.status().code(),
                 "HEAD cannot be read, so neither can its history: " + first.status().message() +
                     "; let HEAD point to an earlier commit");
  }
  queue.push(*std::move(first));
  while (!queue.empty()) {
    if (stop.stop_requested()) return Error(Code::kCancelled, "reading the history was cancelled");
    commits.push_back(queue.top());
    queue.pop();
    const std::vector<std::string> parents = commits.back().parents;
    for (const std::string& parent : parents) {
      if (!seen.insert(parent).second) continue;
      Result<CommitInfo> info = ReadCommit(parent);
      if (info.ok()) queue.push(std::move(*info));
    }
  }
  return commits;
}

Result<git_oid> LibgitRepository::TreeOf(const std::string& sha) {
  TASKMINT_ASSIGN_OR_RETURN(const GitCommitHandle commit, Lookup(sha));
  return *git_commit_tree_id(commit.get());
}

Result<std::vector<PathChange>> LibgitRepository::Changes(const std::string& from,
                                                          const std::string& to,
                                                          const ReadLimits& limits) {
  TASKMINT_ASSIGN_OR_RETURN(const git_oid old_tree, TreeOf(from));
  TASKMINT_ASSIGN_OR_RETURN(const git_oid new_tree, TreeOf(to));
  return DiffGitTrees(objects_, old_tree, new_tree, limits);
}

Result<FileTree> LibgitRepository::ReadTree(const std::string& sha, const ReadLimits& limits) {
  TASKMINT_ASSIGN_OR_RETURN(const git_oid tree, TreeOf(sha));
  return ReadGitTree(objects_, tree, limits);
}

Result<std::vector<std::string>> LibgitRepository::ReadPaths(const std::string& sha,
                                                             const ReadLimits& limits) {
  TASKMINT_ASSIGN_OR_RETURN(const git_oid tree, TreeOf(sha));
  return ReadGitPaths(objects_, tree, limits);
}

Result<std::optional<std::string>> LibgitRepository::ReadTopFile(const std::string& sha,
                                                                 const std::string& name,
                                                                 uint64_t bytes_max) {
  TASKMINT_ASSIGN_OR_RETURN(const git_oid tree, TreeOf(sha));
  const auto entries = objects_.ReadTreeObject(tree);
  if (!entries.ok()) return std::optional<std::string>();
  for (const GitTreeEntry& entry : *entries) {
    if (entry.name != name || entry.is_tree() || entry.mode == GIT_FILEMODE_LINK) continue;
    TASKMINT_ASSIGN_OR_RETURN(const uint64_t bytes, objects_.BlobBytes(entry.id));
    if (bytes > bytes_max) {
      return Error(Code::kResourceExhausted,
                   Quoted(name) + " is larger than " + std::to_string(bytes_max) + " bytes");
    }
    TASKMINT_ASSIGN_OR_RETURN(const auto content, objects_.ReadBlob(entry.id));
    return std::optional<std::string>(*content);
  }
  return std::optional<std::string>();
}

std::string LibgitRepository::OriginUrl() {
  git_config* config = nullptr;
  if (git_repository_config_snapshot(&config, repository_.get()) != 0) return "";
  const GitConfigHandle owner(config);
  const char* url = nullptr;
  if (git_config_get_string(&url, config, "remote.origin.url") != 0 || url == nullptr) return "";
  return PublicUrl(url);
}

}  // namespace

std::string PublicUrl(std::string_view url) {
  for (const char c : url) {
    if (c <= ' ' || c == 0x7f || c == '\\') return "";
  }
  if (!IsUtf8(url)) return "";
  std::string text(url.substr(0, url.find_first_of("?#")));
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos) {
    // The scp form, user@host:path; anything else is a local path.
    const size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return "";
    const size_t at = text.rfind('@', colon);
    const size_t host = at == std::string::npos ? 0 : at + 1;
    if (host == colon || text.find("::") != std::string::npos) return "";
    return "ssh://" + text.substr(host, colon - host) +
           (text.compare(colon + 1, 1, "/") == 0 ? "" : "/") + text.substr(colon + 1);
  }
  const std::string name = LowerCase(text.substr(0, scheme));
  static const std::set<std::string> kRemote{"http", "https", "ssh", "git", "git+ssh", "ssh+git"};
  if (!kRemote.contains(name)) return "";
  const size_t begin = scheme + 3;
  const size_t slash = std::min(text.find('/', begin), text.size());
  const size_t at = text.rfind('@', slash);
  const size_t host = at == std::string::npos || at < begin ? begin : at + 1;
  if (host >= slash) return "";
  return name + "://" + text.substr(host);
}

Result<std::unique_ptr<GitRepository>> GitRepository::Open(const std::string& path) {
  InitLibgit2();
  if (path.empty()) return Error(Code::kNotFound, "no repository named: the path is empty");
  TASKMINT_RETURN_IF_ERROR(CheckReadable(path));
  git_repository* repository = nullptr;
  const int code =
      git_repository_open_ext(&repository, path.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
  if (code != 0) return ExplainOpenFailure(path, code);
  GitRepositoryHandle owner(repository);
  // libgit2 1.6 and later open sha256 repositories where they were built for it.
  if (ConfiguredFormat(git_repository_commondir(repository), "extensions.objectformat") ==
      "sha256") {
    return ExplainOpenFailure(git_repository_commondir(repository), 0);
  }
  git_odb* odb = nullptr;
  if (git_repository_odb(&odb, repository) != 0) {
    return Error(Code::kFailedPrecondition,
                 Quoted(path) + ": its objects cannot be read: " + LastGitError());
  }
  auto opened = std::make_unique<LibgitRepository>(std::move(owner), GitOdbHandle(odb), path);
  TASKMINT_RETURN_IF_ERROR(opened->Head().status());
  return std::unique_ptr<GitRepository>(std::move(opened));
}

}  // namespace taskmint::environments
