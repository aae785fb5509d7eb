#include "datasets/container_files.h"

#include <algorithm>
#include <map>

namespace taskmint::datasets {
namespace {

// Of any minting machine the packages that tests may call: git, and Python with what Debian splits
// off it.
constexpr std::string_view kPackages =
    "bash ca-certificates git make patch procps python3 python3-venv tzdata";
constexpr std::string_view kAgentPath =
    "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string EnvironmentQuoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '$') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

Result<std::string> BaseImageOf(const v1::Base& base) {
  const std::string& name = base.name();
  const size_t open = name.find('(');
  const size_t close = name.find(')', open == std::string::npos ? name.size() : open);
  if (name.starts_with("Debian") && close != std::string::npos) {
    const std::string release = name.substr(open + 1, close - open - 1);
    const bool word = !release.empty() && std::all_of(release.begin(), release.end(),
                                                      [](char c) { return c >= 'a' && c <= 'z'; });
    if (word) return "debian:" + release + "-slim";
  }
  constexpr std::string_view kUbuntu = "Ubuntu ";
  if (name.starts_with(kUbuntu) && name.size() >= kUbuntu.size() + 5) {
    const std::string release = name.substr(kUbuntu.size(), 5);
    const bool number = release.find_first_not_of("0123456789.") == std::string::npos;
    if (number && release[2] == '.') return "ubuntu:" + release;
  }
  return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                "no public image is known for its base, '" + name + "'");
}

std::string DockerfileText(const v1::RepositoryEnvironment& environment,
                           const ContainerPlan& plan) {
  std::string text = "FROM " + plan.image + "\n";
  text +=
      "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "
      "--no-install-recommends " +
      std::string(kPackages) + " && rm -rf /var/lib/apt/lists/*\n";
  std::map<std::string, std::string> variables = {
      {"LANG", "C.UTF-8"},
      {"PATH", plan.for_agent ? std::string(kAgentPath) : "/venv/bin:/usr/bin:/bin"},
      {"PYTHONHASHSEED", "0"},
      {"TZ", "UTC"},
      {"VIRTUAL_ENV", "/venv"}};
  for (const auto& [name, value] : environment.variables()) variables[name] = value;
  for (const auto& [name, value] : variables) {
    text.append("ENV ").append(name).append("=").append(EnvironmentQuoted(value)).append("\n");
  }
  for (const auto& [archive, folder] : plan.archives) {
    text.append("ADD ").append(archive).append(" ").append(folder).append("/\n");
  }
  for (const std::string& step : plan.steps) text += step + "\n";
  return text + "WORKDIR " + environment.work_path() + "\n";
}

std::string ShellQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace taskmint::datasets
