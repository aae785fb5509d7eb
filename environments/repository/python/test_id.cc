#include "environments/repository/python/test_id.h"

#include <algorithm>

namespace taskmint::environments {
namespace {

constexpr size_t kDottedBytesMax = 4096;
constexpr int64_t kComponentsMax = 64;

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

// Whether the path of `dotted` is the usual one: a ".py" file whose only dots were slashes.
bool IsPlain(std::string_view path) {
  return path.ends_with(".py") && path.find('.') == path.size() - 3;
}

}  // namespace

PytestNodeIds::PytestNodeIds(const FileTree& tree) : tree_(tree) {
  files_.reserve(tree.size());
  for (const auto& [path, entry] : tree.files()) {
    std::string_view& place = files_[Dotted(path)];
    if (place.empty() || IsPlain(path) || (!IsPlain(place) && path.size() > place.size())) {
      place = path;
    }
  }
}

std::string_view PytestNodeIds::FileOfPrefix(std::string_view dotted) const {
  if (dotted.size() > kDottedBytesMax ||
      std::count(dotted.begin(), dotted.end(), '.') >= kComponentsMax) {
    return {};
  }
  for (size_t end = dotted.size(); end != std::string_view::npos && end > 0;
       end = dotted.rfind('.', end - 1)) {
    const auto found = files_.find(std::string(dotted.substr(0, end)));
    if (found != files_.end()) return found->second;
  }
  return {};
}

std::string PytestNodeIds::Id(std::string_view file, std::string_view class_name,
                              std::string_view name) const {
  if (class_name.empty()) {  // the collection of a file failed: its dotted path is the name
    if (!file.empty() && tree_.Contains(file) && Dotted(file) == name) return std::string(file);
    const std::string_view found = FileOfPrefix(name);
    return !found.empty() && Dotted(found) == name ? std::string(found) : std::string();
  }
  std::string_view path;
  if (!file.empty() && tree_.Contains(file) && IsDottedPrefix(Dotted(file), class_name)) {
    path = file;
  } else {
    path = FileOfPrefix(class_name);
  }
  if (path.empty()) return {};
  std::string id(path);
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
