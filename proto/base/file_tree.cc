#include "proto/base/file_tree.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <vector>

#include "proto/base/check.h"
#include "proto/base/digest.h"

namespace taskmint {
namespace {

using Emit = std::function<void(const std::string&, std::string_view)>;

struct Node {
  std::map<std::string, const FileEntry*, std::less<>> files;
  std::map<std::string, Node, std::less<>> directories;
};

std::string Serialize(const v1::Directory& directory) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    TASKMINT_CHECK(directory.SerializeToCodedStream(&coded));
  }
  return bytes;
}

std::string EmitNode(const Node& node, const Emit& emit) {
  v1::Directory record;
  for (const auto& [name, entry] : node.files) {
    if (entry->kind == FileEntry::Kind::kSymlink) {
      auto* link = record.add_symlinks();
      link->set_name(name);
      link->set_target(*entry->content);
      continue;
    }
    auto* file = record.add_files();
    file->set_name(name);
    file->set_digest(Sha256Hex(*entry->content));
    file->set_size_bytes(entry->content->size());
    file->set_executable(entry->kind == FileEntry::Kind::kExecutable);
    if (emit) emit(file->digest(), *entry->content);
  }
  for (const auto& [name, child] : node.directories) {
    auto* directory = record.add_directories();
    directory->set_name(name);
    directory->set_digest(EmitNode(child, emit));
  }
  const std::string bytes = Serialize(record);
  std::string digest = Sha256Hex(bytes);
  if (emit) emit(digest, bytes);
  return digest;
}

}  // namespace

bool IsTreePath(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  size_t begin = 0;
  while (begin <= path.size()) {
    size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    begin = end + 1;
  }
  return true;
}

Status FileTree::Set(std::string_view path, FileEntry entry) {
  if (!IsTreePath(path)) {
    return {Code::kInvalidArgument, Boundary::kEnvironment,
            "not a path inside a tree: '" + std::string(path.substr(0, 200)) + "'"};
  }
  files_.insert_or_assign(std::string(path), std::move(entry));
  return OkStatus();
}

const FileEntry* FileTree::Find(std::string_view path) const {
  auto it = files_.find(path);
  return it == files_.end() ? nullptr : &it->second;
}

uint64_t FileTree::content_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [path, entry] : files_) bytes += entry.content->size();
  return bytes;
}

void FileTree::Overlay(const FileTree& other) {
  for (const auto& [path, entry] : other.files_) {
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      Remove(std::string_view(path).substr(0, slash));
    }
    const std::string below = path + "/";
    for (auto it = files_.lower_bound(below); it != files_.end() && it->first.starts_with(below);) {
      it = files_.erase(it);
    }
    files_.insert_or_assign(path, entry);
  }
}

std::string EmitTree(const FileTree& tree, const Emit& emit) {
  Node root;
  for (const auto& [path, entry] : tree.files()) {
    Node* node = &root;
    size_t begin = 0;
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', begin)) {
      node = &node->directories[path.substr(begin, slash - begin)];
      begin = slash + 1;
    }
    node->files.emplace(path.substr(begin), &entry);
  }
  return EmitNode(root, emit);
}

std::string TreeDigest(const FileTree& tree) { return EmitTree(tree, nullptr); }

}  // namespace taskmint
