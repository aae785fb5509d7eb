#include "datasets/container_files.h"

#include <algorithm>
#include <array>
#include <map>

#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

// Of any minting machine the packages that tests may call: git, and Python with what Debian splits
// off it.
constexpr std::string_view kPackages =
    "bash ca-certificates git make patch procps python3 python3-venv tzdata";
constexpr std::string_view kAgentPath =
    "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What builds set (orchestrator/stages/build.cc), and where drivers mount layers.
constexpr std::array<std::string_view, 3> kVariables = {"LANG", "PYTHONHASHSEED", "TZ"};
constexpr std::array<std::string_view, 2> kLayerFolders = {"/ccache", "/venv"};
constexpr size_t kVariableBytesMax = 100;

bool IsVariableValue(std::string_view value) {
  return value.size() <= kVariableBytesMax && std::all_of(value.begin(), value.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Status NoContainer(const std::string& what) {
  return {Code::kInvalidArgument, Boundary::kConfig, what};
}

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

Status CheckContainerEnvironment(const v1::RepositoryEnvironment& environment) {
  for (const auto& [name, value] : environment.variables()) {
    if (std::find(kVariables.begin(), kVariables.end(), name) == kVariables.end()) {
      return NoContainer("variables hold '" + OneLine(name.substr(0, 100)) +
                         "', which no environment is built with");
    }
    if (!IsVariableValue(value)) {
      return NoContainer("the variable " + name + " is not a word of [A-Za-z0-9._-]");
    }
  }
  if (environment.layers_size() > static_cast<int>(kLayerFolders.size())) {
    return NoContainer("layers are too many");
  }
  for (int i = 0; i < environment.layers_size(); ++i) {
    const std::string& path = environment.layers(i).mount_path();
    if (std::find(kLayerFolders.begin(), kLayerFolders.end(), path) == kLayerFolders.end()) {
      return NoContainer("a layer's mount_path is '" + OneLine(path.substr(0, 100)) +
                         "', where no driver mounts one");
    }
    for (int j = 0; j < i; ++j) {
      if (environment.layers(j).mount_path() == path) return NoContainer("layers share a path");
    }
  }
  return OkStatus();
}

std::string DockerfileText(const v1::RepositoryEnvironment& environment,
                           const ContainerPlan& plan) {
  std::string text = "FROM " + plan.image + "\n";
  text +=
      "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "
      "--no-install-recommends " +
      std::string(kPackages) + " && rm -rf /var/lib/apt/lists/*\n";
  std::map<std::string, std::string> variables = {
      {"LANG", "C.UTF-8"}, {"PATH", "/usr/bin:/bin"}, {"TZ", "UTC"}};
  if (plan.for_agent) {
    variables["PATH"] = kAgentPath;
    variables["PYTHONHASHSEED"] = "0";
    variables["VIRTUAL_ENV"] = "/venv";
    for (const auto& [name, value] : environment.variables()) variables[name] = value;
  }
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
