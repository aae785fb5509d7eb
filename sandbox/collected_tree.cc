#include "sandbox/collected_tree.h"

#include <memory>
#include <utility>

namespace taskmint::sandbox {
namespace {

Status Nonsense(const char* what) {
  return {Code::kUnavailable, Boundary::kSandbox,
          std::string("the sandbox's agent sent nonsense: ") + what};
}

}  // namespace

Status CollectedTree::Finish() {
  if (!open_) return OkStatus();
  open_ = false;
  if (!IsTreePath(path_)) return Nonsense("a path out of the tree");
  if (tree_.Contains(path_)) return Nonsense("a path twice");
  FileEntry entry;
  entry.kind = kind_;
  entry.content = std::make_shared<const std::string>(std::move(content_));
  content_.clear();
  return tree_.Set(path_, std::move(entry));
}

Status CollectedTree::Add(WireReader& reader) {
  while (!reader.at_end()) {
    FilePart part;
    if (!ReadFilePart(reader, &part)) return Nonsense("a malformed file");
    bytes_ += part.content.size();
    if (bytes_ > static_cast<uint64_t>(limits_.bytes_max))
      return Nonsense("more than was asked for");
    if (part.append) {
      if (!open_ || part.path != path_) return Nonsense("the end of a file without its beginning");
      content_.append(part.content);
      continue;
    }
    TASKMINT_RETURN_IF_ERROR(Finish());
    if (tree_.size() >= static_cast<uint64_t>(limits_.files_max)) {
      return Nonsense("more files than were asked for");
    }
    path_ = part.path;
    kind_ = part.kind == FilePart::kSymlink      ? FileEntry::Kind::kSymlink
            : part.kind == FilePart::kExecutable ? FileEntry::Kind::kExecutable
                                                 : FileEntry::Kind::kRegular;
    content_ = part.content;
    open_ = true;
  }
  return reader.ok() ? OkStatus() : Nonsense("a malformed frame");
}

Result<FileTree> CollectedTree::Take() {
  TASKMINT_RETURN_IF_ERROR(Finish());
  // A file that stands where another needs a folder cannot come from a file system.
  for (const auto& [path, entry] : tree_.files()) {
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      if (tree_.Contains(std::string_view(path).substr(0, slash))) {
        return Nonsense("a file below a file");
      }
    }
  }
  return std::move(tree_);
}

}  // namespace taskmint::sandbox
