#include "sandbox/python_applications.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;

// More than the Python parts of compilers and debuggers have, less than any bundle of packages.
constexpr int kSourcesMin = 400;

bool HoldsManySources(const fs::path& folder) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied,
                                         error);
  int count = 0;
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".py" && ++count >= kSourcesMin) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> FindPythonApplications(const std::vector<std::string>& roots) {
  std::vector<std::string> found;
  for (const std::string& root : roots) {
    std::error_code error;
    fs::directory_iterator entry(root, error);
    for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename();
      if (name.starts_with("python") || name.starts_with("pypy")) continue;
      std::error_code ignored;
      if (entry->is_symlink(ignored) || !entry->is_directory(ignored)) continue;
      if (HoldsManySources(entry->path())) found.push_back(entry->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

const std::vector<std::string>& PythonApplicationsOfHost() {
  static const auto* found = new std::vector<std::string>(
      FindPythonApplications({"/usr/lib", "/usr/libexec", "/usr/share"}));
  return *found;
}

}  // namespace taskmint::sandbox
