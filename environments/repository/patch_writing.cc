// MakePatch: libgit2's diff over an object store in memory.
#include <git2/sys/mempack.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>

#include "environments/repository/git_repository.h"
#include "environments/repository/libgit2.h"

namespace taskmint::environments {
namespace {

Status Failed(const char* what) {
  return {Code::kInternal, Boundary::kEnvironment,
          std::string("cannot write a patch: ") + what + ": " + LastGitError()};
}

uint32_t ModeOf(FileEntry::Kind kind) {
  switch (kind) {
    case FileEntry::Kind::kRegular:
      return GIT_FILEMODE_BLOB;
    case FileEntry::Kind::kExecutable:
      return GIT_FILEMODE_BLOB_EXECUTABLE;
    case FileEntry::Kind::kSymlink:
      return GIT_FILEMODE_LINK;
  }
  return GIT_FILEMODE_BLOB;
}

// The files of `tree` that `other` lacks or has otherwise, as a git tree in `repository`.
Status WriteDifferent(git_repository* repository, const FileTree& tree, const FileTree& other,
                      git_oid& id) {
  git_index* index = nullptr;
  if (git_index_new(&index) != 0) return Failed("no index");
  const GitIndexHandle owner(index);
  for (const auto& [path, entry] : tree.files()) {
    const FileEntry* counterpart = other.Find(path);
    if (counterpart != nullptr && entry == *counterpart) continue;
    git_index_entry record{};
    record.path = path.c_str();
    record.mode = ModeOf(entry.kind);
    record.file_size = static_cast<uint32_t>(entry.content->size());
    if (git_blob_create_from_buffer(&record.id, repository, entry.content->data(),
                                    entry.content->size()) != 0 ||
        git_index_add(index, &record) != 0) {
      return Failed("a file");
    }
  }
  if (git_index_write_tree_to(&id, index, repository) != 0) return Failed("a tree");
  return OkStatus();
}

// A git_diff_line_cb that appends to a std::string.
int AppendLine(const git_diff_delta* delta, const git_diff_hunk*, const git_diff_line* line,
               void* patch) {
  // libgit2 says of a binary file with a new mode alone that it differs, which git does not apply.
  if (line->origin == GIT_DIFF_LINE_BINARY &&
      git_oid_equal(&delta->old_file.id, &delta->new_file.id) != 0) {
    return 0;
  }
  auto& text = *static_cast<std::string*>(patch);
  if (line->origin == GIT_DIFF_LINE_CONTEXT || line->origin == GIT_DIFF_LINE_ADDITION ||
      line->origin == GIT_DIFF_LINE_DELETION) {
    text += line->origin;
  }
  text.append(line->content, line->content_len);
  return 0;
}

}  // namespace

Result<std::string> MakePatch(const FileTree& from, const FileTree& to) {
  InitLibgit2();
  git_odb* odb = nullptr;
  if (git_odb_new(&odb) != 0) return Failed("no object store");
  const GitOdbHandle odb_owner(odb);
  git_odb_backend* memory = nullptr;
  if (git_mempack_new(&memory) != 0 || git_odb_add_backend(odb, memory, 1) != 0) {
    return Failed("no object store");
  }
  git_repository* repository = nullptr;
  if (git_repository_wrap_odb(&repository, odb) != 0) return Failed("no repository");
  const GitRepositoryHandle repository_owner(repository);
  git_oid ids[2];
  TASKMINT_RETURN_IF_ERROR(WriteDifferent(repository, from, to, ids[0]));
  TASKMINT_RETURN_IF_ERROR(WriteDifferent(repository, to, from, ids[1]));
  git_tree* trees[2] = {};
  if (git_tree_lookup(&trees[0], repository, &ids[0]) != 0) return Failed("a tree");
  const GitTreeHandle from_owner(trees[0]);
  if (git_tree_lookup(&trees[1], repository, &ids[1]) != 0) return Failed("a tree");
  const GitTreeHandle to_owner(trees[1]);

  git_diff_options options;
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.flags = GIT_DIFF_SHOW_BINARY;
  options.id_abbrev = GIT_OID_HEXSZ;  // git applies binary hunks only to blobs named in full
  git_diff* diff = nullptr;
  if (git_diff_tree_to_tree(&diff, repository, trees[0], trees[1], &options) != 0) {
    return Failed("no difference");
  }
  const GitDiffHandle diff_owner(diff);
  std::string patch;
  if (git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, AppendLine, &patch) != 0) {
    return Failed("no text");
  }
  return patch;
}

}  // namespace taskmint::environments
