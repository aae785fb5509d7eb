#include "orchestrator/machine.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "environments/repository/cpp/installation.h"
#include "environments/repository/python/sources.h"
#include "orchestrator/terminal.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using sandbox::Finding;

Finding ExamineUv() {
  const auto uv = environments::FindUv();
  if (uv.ok()) return {"uv", true, *uv, ""};
  return {"uv", false, "not found", uv.status().message()};
}

Finding ExamineCompilers() {
  const Status tools = environments::CheckCppTools();
  Finding finding{"C and C++ tools", tools.ok(), "compilers, cmake, ctest, ninja, make", ""};
  if (tools.ok()) {
    finding.detail += environments::BaseHasCcache() ? ", ccache" : "; no ccache: slower";
  } else {
    finding.detail = "incomplete";
    finding.mend = tools.message();
  }
  return finding;
}

// Proxy addresses may carry passwords: only whether they are set is said.
Finding ExamineNetwork() {
  std::string set;
  for (const char* name :
       {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "UV_DEFAULT_INDEX",
        "UV_INDEX_URL", "PIP_INDEX_URL", "UV_FIND_LINKS", "PIP_FIND_LINKS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') set += (set.empty() ? "" : ", ") + std::string(name);
  }
  return {"network settings", true, set.empty() ? "direct, default package index" : "set: " + set,
          ""};
}

Finding ExamineStore(const std::string& folder) {
  Finding finding{"store", false, "", ""};
  std::error_code error;
  fs::path place = fs::absolute(folder, error);
  while (!place.empty() && !fs::exists(place, error) && place != place.parent_path()) {
    place = place.parent_path();
  }
  const bool folder_there = fs::is_directory(place, error);
  finding.ok = folder_there && access(place.c_str(), W_OK) == 0;
  if (!finding.ok) {
    finding.detail = place.string() + ": " + std::strerror(folder_there ? errno : ENOTDIR);
    finding.mend = "choose another folder with --store, or make this one writable";
    return finding;
  }
  const fs::space_info space = fs::space(place, error);
  finding.detail = fs::absolute(folder, error).string() + " can be written";
  if (error) return finding;
  finding.detail += ", " + BytesText(space.available) + " free";
  constexpr uintmax_t kFreeBytesMin = 256 << 20;
  finding.ok = space.available >= kFreeBytesMin;
  if (!finding.ok) finding.mend = "make room, or choose a folder on another disk with --store";
  return finding;
}

}  // namespace

std::vector<Finding> ExamineMachine(const std::string& store_folder) {
  std::vector<Finding> findings = sandbox::ExamineHost();
  findings.push_back(ExamineUv());
  findings.push_back(ExamineCompilers());
  findings.push_back(ExamineNetwork());
  findings.push_back(ExamineStore(store_folder));
  return findings;
}

}  // namespace taskmint::orchestrator
