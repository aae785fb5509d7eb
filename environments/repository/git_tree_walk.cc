#include "environments/repository/git_tree_walk.h"

#include <algorithm>
#include <cctype>
#include <deque>
#include <unordered_set>

#include "environments/errors.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

constexpr uint64_t kTreeObjectBytesMax = 16 << 20;
// Longer ones cannot be written below a sandbox's folder (PATH_MAX is 4,096).
constexpr size_t kPathBytesMax = 3'000;
constexpr size_t kNameBytesMax = 255;

std::string Shown(const std::string& path) { return "'" + Printable(path.substr(0, 200)) + "'"; }

// ".git" as any file system may read it: without case, with code points that HFS+ ignores, as the
// short name of FAT, with the trailing dots and spaces that Windows drops.
bool IsGitFolderName(std::string_view name) {
  std::string plain;
  for (size_t i = 0; i < name.size();) {
    const std::string_view three = name.substr(i, 3);
    const bool ignored =
        three.size() == 3 &&
        ((three[0] == '\xE2' && three[1] == '\x80' &&
          ((three[2] >= '\x8C' && three[2] <= '\x8F') ||
           (three[2] >= '\xAA' && three[2] <= '\xAE'))) ||
         (three[0] == '\xE2' && three[1] == '\x81' && three[2] >= '\xAA' && three[2] <= '\xAF') ||
         three == "\xEF\xBB\xBF");
    if (ignored) {
      i += 3;
      continue;
    }
    plain += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i++])));
  }
  while (!plain.empty() && (plain.back() == '.' || plain.back() == ' ')) plain.pop_back();
  return plain == ".git" || plain == "git~1";
}

// The error of a commit that is too large for a task; `what` is it that is too large.
Status Beyond(const std::string& what) {
  return Error(Code::kResourceExhausted, "limit: " + what + "; such a commit makes no task");
}

Status CheckName(const std::string& name) {
  if (name.size() > kNameBytesMax) {
    return Beyond("a file name of " + std::to_string(name.size()) + " bytes, at most " +
                  std::to_string(kNameBytesMax) + " are possible");
  }
  if (!IsTreePath(name) || name.find('/') != std::string::npos || IsGitFolderName(name)) {
    return Error(Code::kDataLoss, "a tree holds the name " + Shown(name) + ", which git forbids");
  }
  return OkStatus();
}

FileEntry::Kind KindOf(uint32_t mode) {
  if (mode == GIT_FILEMODE_LINK) return FileEntry::Kind::kSymlink;
  return (mode & 0100) != 0 ? FileEntry::Kind::kExecutable : FileEntry::Kind::kRegular;
}

std::string ChildPath(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

// What all walks count.
class Budget {
 public:
  explicit Budget(const ReadLimits& limits) : limits_(limits) {}

  Status CountFolder(const std::string& path, int64_t depth) {
    if (depth > limits_.depth_max) {
      return Beyond("folders nest deeper than " + std::to_string(limits_.depth_max) + " at " +
                    Shown(path));
    }
    if (++folders_ > limits_.files_max) {
      return Beyond("more than " + std::to_string(limits_.files_max) + " folders");
    }
    return CheckPath(path);
  }

  Status CountFile(const std::string& path, uint64_t bytes) {
    if (++files_ > limits_.files_max) {
      return Beyond("more than " + std::to_string(limits_.files_max) + " files");
    }
    bytes_ += bytes + path.size();
    if (bytes_ > static_cast<uint64_t>(limits_.tree_bytes_max)) {
      return Beyond("files of more than " + std::to_string(limits_.tree_bytes_max) +
                    " bytes together");
    }
    return CheckPath(path);
  }

  Status CountChange(const PathChange& change) {
    if (++files_ > limits_.changes_max) {
      return Beyond("more than " + std::to_string(limits_.changes_max) + " changed files");
    }
    bytes_ += change.old_bytes + change.new_bytes;
    if (bytes_ > static_cast<uint64_t>(limits_.change_bytes_max)) {
      return Beyond("changed files of more than " + std::to_string(limits_.change_bytes_max) +
                    " bytes together");
    }
    return CheckPath(change.path);
  }

 private:
  static Status CheckPath(const std::string& path) {
    if (path.size() <= kPathBytesMax) return OkStatus();
    return Beyond("a path longer than " + std::to_string(kPathBytesMax) + " bytes: " + Shown(path));
  }

  const ReadLimits& limits_;
  int64_t folders_ = 0;
  int64_t files_ = 0;
  uint64_t bytes_ = 0;
};

Status ReadFolder(GitObjectReader& objects, const git_oid& id, const std::string& folder,
                  int64_t depth, Budget& budget, FileTree& tree) {
  TASKMINT_RETURN_IF_ERROR(budget.CountFolder(folder, depth));
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<GitTreeEntry> entries, objects.ReadTreeObject(id));
  for (const GitTreeEntry& entry : entries) {
    const std::string path = ChildPath(folder, entry.name);
    if (entry.is_tree()) {
      TASKMINT_RETURN_IF_ERROR(ReadFolder(objects, entry.id, path, depth + 1, budget, tree));
      continue;
    }
    TASKMINT_ASSIGN_OR_RETURN(const uint64_t bytes, objects.BlobBytes(entry.id));
    TASKMINT_RETURN_IF_ERROR(budget.CountFile(path, bytes));
    TASKMINT_ASSIGN_OR_RETURN(std::shared_ptr<const std::string> content,
                              objects.ReadBlob(entry.id));
    TASKMINT_RETURN_IF_ERROR(tree.Set(path, {KindOf(entry.mode), std::move(content)}));
  }
  return OkStatus();
}

class TreeDiff {
 public:
  TreeDiff(GitObjectReader& objects, const ReadLimits& limits)
      : objects_(objects), budget_(limits) {}

  // Null means: no such folder on that side.
  Status Compare(const git_oid* from, const git_oid* to, const std::string& folder, int64_t depth) {
    TASKMINT_RETURN_IF_ERROR(budget_.CountFolder(folder, depth));
    std::vector<GitTreeEntry> before;
    std::vector<GitTreeEntry> after;
    TASKMINT_RETURN_IF_ERROR(ReadSorted(from, before));
    TASKMINT_RETURN_IF_ERROR(ReadSorted(to, after));
    auto a = before.begin();
    auto b = after.begin();
    while (a != before.end() || b != after.end()) {
      int order = a == before.end() ? 1 : b == after.end() ? -1 : a->name.compare(b->name);
      // A folder and a file of the same name are two different things.
      if (order == 0 && a->is_tree() != b->is_tree()) order = a->is_tree() ? 1 : -1;
      if (order == 0 && a->is_tree() == b->is_tree()) {
        TASKMINT_RETURN_IF_ERROR(Visit(&*a++, &*b++, folder, depth));
      } else if (order < 0) {
        TASKMINT_RETURN_IF_ERROR(Visit(&*a++, nullptr, folder, depth));
      } else {
        TASKMINT_RETURN_IF_ERROR(Visit(nullptr, &*b++, folder, depth));
      }
    }
    return OkStatus();
  }

  std::vector<PathChange> TakeChanges() {
    std::sort(changes_.begin(), changes_.end(),
              [](const PathChange& x, const PathChange& y) { return x.path < y.path; });
    return std::move(changes_);
  }

 private:
  Status ReadSorted(const git_oid* id, std::vector<GitTreeEntry>& entries) {
    if (id == nullptr) return OkStatus();
    TASKMINT_ASSIGN_OR_RETURN(entries, objects_.ReadTreeObject(*id));
    std::sort(entries.begin(), entries.end(),
              [](const GitTreeEntry& x, const GitTreeEntry& y) { return x.name < y.name; });
    return OkStatus();
  }

  Status Visit(const GitTreeEntry* before, const GitTreeEntry* after, const std::string& folder,
               int64_t depth) {
    if (before != nullptr && after != nullptr && before->mode == after->mode &&
        git_oid_equal(&before->id, &after->id) != 0) {
      return OkStatus();
    }
    const GitTreeEntry& entry = before != nullptr ? *before : *after;
    PathChange change;
    change.path = ChildPath(folder, entry.name);
    if (entry.is_tree()) {
      return Compare(before == nullptr ? nullptr : &before->id,
                     after == nullptr ? nullptr : &after->id, change.path, depth + 1);
    }
    if (before != nullptr) {
      TASKMINT_ASSIGN_OR_RETURN(change.old_bytes, objects_.BlobBytes(before->id));
    }
    if (after != nullptr) {
      TASKMINT_ASSIGN_OR_RETURN(change.new_bytes, objects_.BlobBytes(after->id));
    }
    change.kind = before == nullptr  ? PathChange::Kind::kAdded
                  : after == nullptr ? PathChange::Kind::kDeleted
                                     : PathChange::Kind::kModified;
    TASKMINT_RETURN_IF_ERROR(budget_.CountChange(change));
    changes_.push_back(std::move(change));
    return OkStatus();
  }

  GitObjectReader& objects_;
  Budget budget_;
  std::vector<PathChange> changes_;
};

}  // namespace

Status GitObjectReader::Check(const git_oid& id, git_object_t type, uint64_t bytes_max) {
  size_t bytes = 0;
  git_object_t found = GIT_OBJECT_INVALID;
  const int code = git_odb_read_header(&bytes, &found, odb_, &id);
  if (code == GIT_ENOTFOUND) {
    return Error(Code::kNotFound,
                 "object " + HexOf(id) + " is missing from the repository" + missing_hint_);
  }
  if (code != 0) {
    return Error(Code::kDataLoss, "object " + HexOf(id) + " is damaged: " + LastGitError());
  }
  if (found != type) {
    return Error(Code::kDataLoss, "object " + HexOf(id) + " is a " + git_object_type2string(found) +
                                      " where a " + git_object_type2string(type) + " is expected");
  }
  if (bytes > bytes_max) {
    return Beyond(std::string(git_object_type2string(type)) + " " + HexOf(id) + " has " +
                  std::to_string(bytes) + " bytes, more than " + std::to_string(bytes_max));
  }
  return OkStatus();
}

Result<GitOdbObjectHandle> GitObjectReader::Read(const git_oid& id, git_object_t type,
                                                 uint64_t bytes_max) {
  TASKMINT_RETURN_IF_ERROR(Check(id, type, bytes_max));
  git_odb_object* object = nullptr;
  if (git_odb_read(&object, odb_, &id) != 0) {
    return Error(Code::kDataLoss, "object " + HexOf(id) + " is damaged: " + LastGitError());
  }
  return GitOdbObjectHandle(object);
}

Result<uint64_t> GitObjectReader::BlobBytes(const git_oid& id) {
  size_t bytes = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git_odb_read_header(&bytes, &type, odb_, &id) == 0 && type == GIT_OBJECT_BLOB) return bytes;
  TASKMINT_RETURN_IF_ERROR(Check(id, GIT_OBJECT_BLOB, UINT64_MAX));
  return bytes;
}

Result<std::shared_ptr<const std::string>> GitObjectReader::ReadBlob(const git_oid& id) {
  const std::string key(reinterpret_cast<const char*>(id.id), GIT_OID_RAWSZ);
  if (auto it = blobs_.find(key); it != blobs_.end()) {
    if (auto alive = it->second.lock()) return alive;
  }
  TASKMINT_ASSIGN_OR_RETURN(const GitOdbObjectHandle object, Read(id, GIT_OBJECT_BLOB, UINT64_MAX));
  auto content = std::make_shared<const std::string>(
      static_cast<const char*>(git_odb_object_data(object.get())),
      git_odb_object_size(object.get()));
  if (blobs_.size() > 200'000) blobs_.clear();
  blobs_[key] = content;
  return content;
}

Result<std::vector<GitTreeEntry>> GitObjectReader::ReadTreeObject(const git_oid& id) {
  TASKMINT_ASSIGN_OR_RETURN(const GitOdbObjectHandle object,
                            Read(id, GIT_OBJECT_TREE, kTreeObjectBytesMax));
  const std::string_view bytes(static_cast<const char*>(git_odb_object_data(object.get())),
                               git_odb_object_size(object.get()));
  std::vector<GitTreeEntry> entries;
  std::unordered_set<std::string_view> names;
  const auto damaged = [&id] {
    return Error(Code::kDataLoss, "tree " + HexOf(id) + " is damaged");
  };
  // "MODE NAME\0" and the raw id, again and again.
  for (size_t at = 0; at < bytes.size();) {
    GitTreeEntry entry;
    for (; at < bytes.size() && bytes[at] != ' '; ++at) {
      if (bytes[at] < '0' || bytes[at] > '7' || entry.mode > 0777777) return damaged();
      entry.mode = entry.mode * 8 + static_cast<uint32_t>(bytes[at] - '0');
    }
    const size_t begin = at + 1;
    const size_t end = begin < bytes.size() ? bytes.find('\0', begin) : std::string_view::npos;
    if (end == std::string_view::npos || bytes.size() - end - 1 < GIT_OID_RAWSZ) return damaged();
    const std::string_view name = bytes.substr(begin, end - begin);
    git_oid_fromraw(&entry.id, reinterpret_cast<const unsigned char*>(bytes.data()) + end + 1);
    at = end + 1 + GIT_OID_RAWSZ;
    if (!names.insert(name).second) return damaged();
    if ((entry.mode & 0170000) == GIT_FILEMODE_COMMIT) continue;
    // Group-writable files of old histories read as plain ones.
    const uint32_t type = entry.mode & 0170000;
    if (type == 0100000) {
      entry.mode = (entry.mode & 0100) != 0 ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
    } else if (entry.mode != GIT_FILEMODE_TREE && entry.mode != GIT_FILEMODE_LINK) {
      return damaged();
    }
    entry.name = name;
    TASKMINT_RETURN_IF_ERROR(CheckName(entry.name));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<FileTree> ReadGitTree(GitObjectReader& objects, const git_oid& tree,
                             const ReadLimits& limits) {
  FileTree files;
  Budget budget(limits);
  TASKMINT_RETURN_IF_ERROR(ReadFolder(objects, tree, "", 0, budget, files));
  return files;
}

Result<std::vector<std::string>> ReadGitPaths(GitObjectReader& objects, const git_oid& tree,
                                              const ReadLimits& limits) {
  struct Folder {
    std::string path;
    git_oid id;
    int64_t depth;
  };
  std::vector<std::string> paths;
  std::deque<Folder> folders{{"", tree, 0}};
  int64_t left = limits.files_max;
  for (; !folders.empty(); folders.pop_front()) {
    const Folder& folder = folders.front();
    const auto entries = objects.ReadTreeObject(folder.id);
    if (!entries.ok() && folder.depth == 0) return entries.status();
    if (!entries.ok()) continue;
    for (const GitTreeEntry& entry : *entries) {
      std::string path = ChildPath(folder.path, entry.name);
      if (path.size() > kPathBytesMax) continue;
      if (left-- == 0) return paths;
      if (!entry.is_tree()) {
        paths.push_back(std::move(path));
      } else if (folder.depth < limits.depth_max) {
        folders.push_back({std::move(path), entry.id, folder.depth + 1});
      }
    }
  }
  return paths;
}

Result<std::vector<PathChange>> DiffGitTrees(GitObjectReader& objects, const git_oid& from,
                                             const git_oid& to, const ReadLimits& limits) {
  if (git_oid_equal(&from, &to) != 0) return std::vector<PathChange>();
  TreeDiff diff(objects, limits);
  TASKMINT_RETURN_IF_ERROR(diff.Compare(&from, &to, "", 0));
  return diff.TakeChanges();
}

}  // namespace taskmint::environments
