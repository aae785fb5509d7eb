#include "sandbox/base_layout.h"

#include <algorithm>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kEntriesMax = 600;

class BaseLayout {
 public:
  BaseLayout(const BaseTree& base, const std::vector<TakenPlace>& places,
             const std::function<std::string(const std::string&)>& source_of)
      : base_(base), places_(places), source_of_(source_of) {}

  // The entries of a folder of ours.
  Status Show(const std::string& folder) {
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<BaseTree::Entry> entries, base_.Entries(folder));
    for (const BaseTree::Entry& entry : entries) {
      const bool ours =
          folder.empty() && std::find(std::begin(kTopNamesOfOurs), std::end(kTopNamesOfOurs),
                                      entry.name) != std::end(kTopNamesOfOurs);
      if (ours) continue;
      if (++shown_ > kEntriesMax) {
        return Error(Code::kInvalidArgument,
                     "the base's folder '/" + Printable(folder) +
                         "' has too many entries for something of ours to be put below it");
      }
      TASKMINT_RETURN_IF_ERROR(
          ShowEntry(entry, folder.empty() ? entry.name : folder + "/" + entry.name));
    }
    return OkStatus();
  }

  std::vector<std::string> Take() { return std::move(arguments_); }

 private:
  Status ShowEntry(const BaseTree::Entry& entry, const std::string& path) {
    const std::string inside = "/" + path;
    bool below = false;
    bool ours = false;
    for (const TakenPlace& place : places_) {
      if (place.path == inside) return OkStatus();
      if (!place.path.starts_with(inside + "/")) continue;
      below = true;
      ours = ours || place.made || !base_.Has(place.path.substr(1));
    }
    if (entry.kind == BaseTree::Entry::Kind::kLink) {
      if (!below) Add({"--symlink", entry.target, inside});
      return OkStatus();
    }
    const bool folder = entry.kind == BaseTree::Entry::Kind::kFolder;
    if (folder && ours) {
      Add({"--dir", inside});
      return Show(path);
    }
    if (folder || (entry.kind == BaseTree::Entry::Kind::kFile && !below)) {
      Add({"--ro-bind", source_of_(path), inside});
    }
    return OkStatus();
  }

  void Add(std::initializer_list<std::string> arguments) {
    arguments_.insert(arguments_.end(), arguments);
  }

  const BaseTree& base_;
  const std::vector<TakenPlace>& places_;
  const std::function<std::string(const std::string&)>& source_of_;
  std::vector<std::string> arguments_;
  size_t shown_ = 0;
};

}  // namespace

Result<std::vector<std::string>> LayOutBase(
    const BaseTree& base, const std::vector<TakenPlace>& places,
    const std::function<std::string(const std::string&)>& source_of) {
  BaseLayout layout(base, places, source_of);
  TASKMINT_RETURN_IF_ERROR(layout.Show(""));
  return layout.Take();
}

}  // namespace taskmint::sandbox
