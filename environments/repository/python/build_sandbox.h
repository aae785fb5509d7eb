// A sandbox in which packages are found, fetched and installed.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BUILD_SANDBOX_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BUILD_SANDBOX_H_

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "environments/repository/language_driver.h"
#include "environments/repository/python/sources.h"

namespace taskmint::environments {

// Our scripts inside.
inline constexpr char kScriptFolder[] = "/tmp/taskmint";
// The work folder inside.
inline constexpr char kBuildWork[] = "/work";

// What a failure to start that interpreter means to a person.
Status WithoutPython(const Status& status);

struct BuildSandboxOptions {
  // Whether the package index (and settings.build_hosts) can be reached.
  bool network = false;
  // Whether variables name the index, with its credentials, to whatever runs inside.
  bool index_variables = false;
  std::vector<sandbox::Mount> mounts;
  std::vector<std::string> scratch_paths;
};

// Not thread-safe. Owns the proxy.
class BuildSandbox {
 public:
  static Result<std::unique_ptr<BuildSandbox>> Open(const DriverContext& context,
                                                    const v1::RepositorySettings& settings,
                                                    const BuildSandboxOptions& options,
                                                    std::stop_token stop);

  // Runs one of our scripts with `request` on its standard input; its answer, one JSON object.
  // Adds what every script is told: uv, python, index_urls, find_links, hosts, tree, dates.
  // FAILED_PRECONDITION (environment) with the script's refusal or failure, UNAVAILABLE
  // (environment) when it says the network is away, DEADLINE_EXCEEDED (environment), ABORTED
  // (sandbox) when it was killed; FAILED_PRECONDITION (config) when the base has no Python.
  Result<nlohmann::json> RunScript(std::string_view name, const std::vector<std::string>& arguments,
                                   nlohmann::json request, std::stop_token stop);

  sandbox::Sandbox& sandbox() { return *sandbox_; }

 private:
  BuildSandbox() = default;
  Status AllowIndexes(std::stop_token stop);
  void Allow(const sandbox::AllowedHost& host);

  PackageSources sources_;
  std::unique_ptr<sandbox::Proxy> proxy_;
  std::vector<std::string> hosts_;             // that the proxy lets through, "host:port"
  std::unique_ptr<sandbox::Sandbox> sandbox_;  // after the proxy: it ends first
};

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_PYTHON_BUILD_SANDBOX_H_
