#include "orchestrator/hidden_path.h"

#include <filesystem>
#include <utility>

namespace taskmint::orchestrator {
namespace {

// "/" and "." are parts of what is no path.
constexpr size_t kPathBytesMin = 3;

}  // namespace

HiddenPath::HiddenPath(const std::string& path, std::string shown) : shown_(std::move(shown)) {
  std::error_code ignored;
  for (const std::filesystem::path& form :
       {std::filesystem::absolute(path, ignored), std::filesystem::weakly_canonical(path, ignored),
        std::filesystem::path(path)}) {
    if (form.string().size() >= kPathBytesMin) forms_.push_back(form.string());
  }
}

std::string HiddenPath::Hide(std::string text) const {
  for (const std::string& form : forms_) {
    for (size_t at = text.find(form); at != std::string::npos; at = text.find(form, at)) {
      const size_t end = at + form.size();
      // A relative one may be any word, unless more of the path follows.
      if (form.front() != '/' && (end == text.size() || text[end] != '/')) {
        at = end;
        continue;
      }
      text.replace(at, form.size(), shown_);
      at += shown_.size();
    }
  }
  return text;
}

}  // namespace taskmint::orchestrator
