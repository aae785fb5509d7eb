#include "environments/repository/python/test_id.h"

#include <algorithm>

namespace taskmint::environments {
namespace {

// A path as pytest writes it into classname: dots for slashes, without ".py".
std::string Dotted(std::string_view path) {
  if (path.ends_with(".py")) path.remove_suffix(3);
  std::string dotted(path);
  std::replace(dotted.begin(), dotted.end(), '/', '.');
  return dotted;
}

bool IsDottedPrefix(std::string_view prefix, std::string_view text) {
  return text.starts_with(prefix) && (text.size() == prefix.size() || text[prefix.size()] == '.');
}

// The file of `tree` that the longest prefix of `dotted` names; empty when there is none.
std::string FileOfPrefix(std::string_view dotted, const FileTree& tree) {
  for (size_t end = dotted.size(); end != std::string_view::npos && end > 0;
       end = dotted.rfind('.', end - 1)) {
    std::string path(dotted.substr(0, end));
    std::replace(path.begin(), path.end(), '.', '/');
    path += ".py";
    if (tree.Contains(path)) return path;
    if (end == 0) break;
  }
  std::string best;  // folders and files with dots in their names: compare every path
  for (const auto& [path, entry] : tree.files()) {
    if (path.size() > best.size() && IsDottedPrefix(Dotted(path), dotted)) best = path;
  }
  return best;
}

}  // namespace

std::string PytestNodeId(std::string_view file, std::string_view class_name, std::string_view name,
                         const FileTree& tree) {
  if (class_name.empty()) {  // the collection of a file failed: its dotted path is the name
    if (!file.empty() && Dotted(file) == name && tree.Contains(file)) return std::string(file);
    const std::string found = FileOfPrefix(name, tree);
    return !found.empty() && Dotted(found) == name ? found : std::string();
  }
  std::string path;
  if (!file.empty() && tree.Contains(file) && IsDottedPrefix(Dotted(file), class_name)) {
    path = file;
  } else {
    path = FileOfPrefix(class_name, tree);
  }
  if (path.empty()) return {};
  std::string id = path;
  std::string_view classes = class_name.substr(std::min(class_name.size(), Dotted(path).size()));
  while (!classes.empty()) {
    classes.remove_prefix(1);
    const size_t dot = classes.find('.');
    id += "::";
    id += classes.substr(0, dot);
    classes = dot == std::string_view::npos ? std::string_view() : classes.substr(dot);
  }
  id += "::";
  id += name;
  return id;
}

}  // namespace taskmint::environments
