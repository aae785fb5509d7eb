// What the base of a sandbox is made of, so that evidence can name it.
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stop_token>
#include <utility>

#include "proto/base/digest.h"
#include "proto/base/utf8.h"
#include "sandbox/base_tree.h"
#include "sandbox/errors.h"
#include "sandbox/folder_copy.h"
#include "sandbox/process.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kListBytesMax = size_t{256} << 20;
constexpr size_t kReleaseBytesMax = size_t{1} << 20;
constexpr char kStatus[] = "var/lib/dpkg/status";
constexpr char kUpdates[] = "var/lib/dpkg/updates";
constexpr char kNameless[] = "unknown";

// Changes whenever dpkg's list does, which it replaces or keeps a journal beside; empty where it is
// not in its usual place.
std::string PackageListMark() {
  std::string mark;
  for (const char* path : {"/var/lib/dpkg/status", "/var/lib/dpkg/updates"}) {
    struct stat info;
    if (::stat(path, &info) != 0) return "";
    for (const int64_t number :
         {static_cast<int64_t>(info.st_ino), static_cast<int64_t>(info.st_size),
          static_cast<int64_t>(info.st_mtim.tv_sec), static_cast<int64_t>(info.st_mtim.tv_nsec),
          static_cast<int64_t>(info.st_ctim.tv_sec), static_cast<int64_t>(info.st_ctim.tv_nsec)}) {
      mark += std::to_string(number) + " ";
    }
  }
  return mark;
}

// The name in the text of an os-release file.
std::string NameOfRelease(std::istream& release) {
  std::string name = kNameless;
  for (std::string line; std::getline(release, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    name = line.substr(12);
    name.erase(std::remove(name.begin(), name.end(), '"'), name.end());
  }
  return Printable(name);
}

// By the list in a folder of dpkg's; empty: the host's.
Result<BaseLayer> AskForPackages(const std::string& admin_folder) {
  std::vector<std::string> argv = {"/usr/bin/dpkg-query", "-W", "-f",
                                   "${db:Status-Abbrev}\t${Package} ${Version} ${Architecture}\n"};
  if (!admin_folder.empty()) argv.insert(argv.begin() + 1, "--admindir=" + admin_folder);
  const Result<std::string> output = OutputOf(argv, 60'000);
  if (!output.ok()) return output.status();
  // Installed ones only: a removed package's settings may stay listed.
  std::vector<std::string> packages;
  std::istringstream lines(*output);
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    if (tab != std::string::npos && line.size() > 1 && line[1] == 'i') {
      packages.push_back(line.substr(tab + 1));
    }
  }
  std::sort(packages.begin(), packages.end());
  std::string text;
  for (const std::string& package : packages) text += package + "\n";
  BaseLayer layer;
  for (const std::string& package : packages) {
    layer.packages.insert(package.substr(0, package.find(' ')));
  }
  layer.package_list_digest = Sha256Hex(text);
  return layer;
}

Result<BaseLayer> AskForHost() {
  Result<BaseLayer> layer = AskForPackages("");
  if (!layer.ok()) {
    return Error(Code::kUnavailable,
                 "this machine has no package list (dpkg-query): Debian or Ubuntu is needed; " +
                     layer.status().message());
  }
  if (layer->packages.empty()) {
    return Error(Code::kUnavailable, "this machine's package list is empty");
  }
  std::ifstream release("/etc/os-release");
  layer->name = NameOfRelease(release);
  return layer;
}

// A folder of dpkg's with a list of packages in it, and nothing that could lead elsewhere.
class AdminFolder {
 public:
  explicit AdminFolder(const std::string& list) {
    std::error_code error;
    std::string path = std::filesystem::temp_directory_path(error) / "taskmint-packages-XXXXXX";
    if (error || ::mkdtemp(path.data()) == nullptr) return;
    path_ = path;
    std::ofstream file(path_ + "/status", std::ios::binary);
    written_ = file.write(list.data(), static_cast<std::streamsize>(list.size())).flush().good();
  }
  ~AdminFolder() {
    if (!path_.empty()) RemoveFolder(path_);
  }
  AdminFolder(const AdminFolder&) = delete;
  AdminFolder& operator=(const AdminFolder&) = delete;
  bool written() const { return written_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool written_ = false;
};

Result<BaseLayer> PackagesOf(const BaseTree& base, const std::string& list) {
  // What dpkg has not yet written into the list.
  if (const auto folder = base.Resolve(kUpdates); folder.has_value()) {
    const auto updates = base.Entries(*folder);
    if (updates.ok() && !updates->empty()) {
      return Error(Code::kInvalidArgument, "the packages of the base '" + Printable(base.path()) +
                                               "' are being changed: let dpkg --configure -a end");
    }
  }
  const AdminFolder folder(list);
  if (!folder.written()) return Error(Code::kUnavailable, "cannot write a temporary file");
  Result<BaseLayer> layer = AskForPackages(folder.path());
  if (layer.ok() && !layer->packages.empty()) return layer;
  return Error(Code::kInvalidArgument, "the base '" + Printable(base.path()) +
                                           "' has a package list (/" + kStatus + ") that " +
                                           (layer.ok() ? "is empty" : "dpkg-query cannot read"));
}

Result<BaseLayer> FilesOf(const BaseTree& base, std::stop_token stop) {
  FolderReading reading;
  reading.stop = std::move(stop);
  reading.special_files_left_out = true;
  for (const std::string_view name : kTopNamesOfOurs) reading.left_out.emplace(name);
  TASKMINT_ASSIGN_OR_RETURN(std::string digest, DigestFolder(base.fd(), reading));
  BaseLayer layer;
  layer.package_list_digest = std::move(digest);
  layer.is_of_files = true;
  return layer;
}

Result<BaseLayer> AskForTree(const std::string& base_path, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const BaseTree base, BaseTree::Open(base_path));
  const Result<std::string> list = base.Read(kStatus, kListBytesMax);
  if (!list.ok() && list.status().code() != Code::kNotFound) return list.status();
  Result<BaseLayer> layer = list.ok() ? PackagesOf(base, *list) : FilesOf(base, std::move(stop));
  if (!layer.ok()) return layer;
  const Result<std::string> text = base.Read("etc/os-release", kReleaseBytesMax);
  std::istringstream release(text.ok() ? *text : std::string());
  layer->name = NameOfRelease(release);
  return layer;
}

}  // namespace

Result<BaseLayer> ReadBaseLayer(const std::string& base_path, std::stop_token stop) {
  if (!base_path.empty()) return AskForTree(base_path, std::move(stop));
  static std::mutex mutex;
  static std::string known_mark;
  static BaseLayer known;
  const std::lock_guard lock(mutex);
  // Before the list is read: what changes meanwhile is read the next time.
  std::string mark = PackageListMark();
  if (!mark.empty() && mark == known_mark) return known;
  TASKMINT_ASSIGN_OR_RETURN(known, AskForHost());
  known_mark = std::move(mark);
  return known;
}

}  // namespace taskmint::sandbox
