#include "sandbox/base_layout.h"

#include <algorithm>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kEntriesMax = 600;

class BaseLayout {
 public:
  BaseLayout(const BaseTree& base, const std::vector<TakenPlace>& places)
      : base_(base), places_(places) {}

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

  std::vector<RootStep> Take() { return std::move(steps_); }

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
      if (!below) {
        steps_.push_back({.kind = RootStep::Kind::kLink, .place = inside, .source = entry.target});
      }
      return OkStatus();
    }
    const bool folder = entry.kind == BaseTree::Entry::Kind::kFolder;
    if (folder && ours) {
      steps_.push_back({.kind = RootStep::Kind::kFolder, .place = inside});
      return Show(path);
    }
    if (folder || (entry.kind == BaseTree::Entry::Kind::kFile && !below)) {
      steps_.push_back(
          {.kind = RootStep::Kind::kBelow, .place = inside, .source = path, .base = base_.path()});
    }
    return OkStatus();
  }

  const BaseTree& base_;
  const std::vector<TakenPlace>& places_;
  std::vector<RootStep> steps_;
  size_t shown_ = 0;
};

}  // namespace

Result<std::vector<RootStep>> LayOutBase(const BaseTree& base,
                                         const std::vector<TakenPlace>& places) {
  BaseLayout layout(base, places);
  TASKMINT_RETURN_IF_ERROR(layout.Show(""));
  return layout.Take();
}

}  // namespace taskmint::sandbox
