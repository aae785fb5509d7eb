#include "datasets/tree_reader.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "proto/base/digest.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kEntriesMax = 1'000'000;
constexpr size_t kPathBytesMax = 4'000;
constexpr uint64_t kContentBytesMax = 64ULL << 30;
constexpr size_t kLinkBytesMax = 4'095;

Status Hostile(const std::string& digest, const std::string& why) {
  return {Code::kDataLoss, Boundary::kStore,
          "blob " + digest + " is no valid folder record (" + why +
              "): it was not written by taskmint; `taskmint store check` says what refers to it"};
}

bool IsComponent(const std::string& name) {
  return IsTreePath(name) && name.find('/') == std::string::npos;
}

}  // namespace

Result<v1::Directory> ReadDirectory(const BlobStore& blobs, const std::string& digest) {
  TASKMINT_ASSIGN_OR_RETURN(const std::string bytes, blobs.Get(digest));
  v1::Directory record;
  if (!record.ParseFromString(bytes)) return Hostile(digest, "it does not parse");
  std::set<std::string_view> names;
  const auto check_name = [&](const std::string& name) {
    if (!IsComponent(name)) return Hostile(digest, "a name is no path component");
    if (!names.insert(name).second) return Hostile(digest, "a name stands twice");
    return OkStatus();
  };
  for (const auto& file : record.files()) {
    TASKMINT_RETURN_IF_ERROR(check_name(file.name()));
    if (!IsDigest(file.digest())) return Hostile(digest, "a file's digest is none");
  }
  for (const auto& link : record.symlinks()) {
    TASKMINT_RETURN_IF_ERROR(check_name(link.name()));
    const bool usable = !link.target().empty() && link.target().size() <= kLinkBytesMax &&
                        link.target().find('\0') == std::string::npos;
    if (!usable) return Hostile(digest, "a link's target is none");
  }
  for (const auto& child : record.directories()) {
    TASKMINT_RETURN_IF_ERROR(check_name(child.name()));
    if (!IsDigest(child.digest())) return Hostile(digest, "a folder's digest is none");
  }
  return record;
}

Result<TreeListing> ListTree(const BlobStore& blobs, const std::string& root) {
  TreeListing listing;
  uint64_t content_bytes = 0;
  std::unordered_map<std::string, v1::Directory> records;
  std::vector<std::pair<std::string, std::string>> open = {{"", root}};  // (prefix, digest)
  while (!open.empty()) {
    const auto [prefix, digest] = std::move(open.back());
    open.pop_back();
    // Equal folders are read once: a few of them can stand for millions.
    const auto [known, is_new] = records.try_emplace(digest);
    if (is_new) {
      TASKMINT_ASSIGN_OR_RETURN(known->second, ReadDirectory(blobs, digest));
    }
    const v1::Directory& record = known->second;
    for (const auto& file : record.files()) {
      content_bytes += std::min<uint64_t>(file.size_bytes(), kContentBytesMax);
      listing.files.push_back(
          {prefix + file.name(), file.digest(), file.size_bytes(), file.executable()});
    }
    for (const auto& link : record.symlinks()) {
      listing.links.push_back({prefix + link.name(), link.target()});
    }
    for (const auto& child : record.directories()) {
      std::string path = prefix + child.name();
      if (path.size() > kPathBytesMax) return Hostile(digest, "folders too deep");
      listing.directories.push_back(path);
      open.emplace_back(path + "/", child.digest());
    }
    const size_t entries = listing.files.size() + listing.links.size() + listing.directories.size();
    if (entries > kEntriesMax) return Hostile(root, "more than a million entries");
    if (content_bytes > kContentBytesMax) return Hostile(root, "contents beyond 64 GiB");
  }
  return listing;
}

}  // namespace taskmint::datasets
