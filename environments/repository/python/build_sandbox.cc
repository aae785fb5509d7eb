#include "environments/repository/python/build_sandbox.h"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "environments/repository/python/scripts.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr char kUvInside[] = "/taskmint/uv";
constexpr int64_t kScriptMsMax = 30 * 60'000;
// Packages that build others are taken as of this date at the earliest: older ones do not start
// under any interpreter of today's bases.
constexpr char kToolsDate[] = "2024-02-01";

// Hosts that an index's pages link to, found once a process.
std::mutex file_hosts_mutex;
std::map<std::string, std::vector<std::string>>& FileHosts() {
  static auto* hosts = new std::map<std::string, std::vector<std::string>>();
  return *hosts;
}

// Of a URL in this machine's settings.
Result<sandbox::AllowedHost> HostOf(const std::string& url) {
  Result<sandbox::AllowedHost> host = sandbox::HostOfUrl(url);
  if (host.ok()) return host;
  return Status(Code::kInvalidArgument, Boundary::kConfig, host.status().message());
}

std::optional<std::vector<std::string>> KnownFileHosts(const std::string& key) {
  const std::lock_guard lock(file_hosts_mutex);
  const auto found = FileHosts().find(key);
  if (found == FileHosts().end()) return std::nullopt;
  return found->second;
}

void KeepFileHosts(const std::string& key, std::vector<std::string> hosts) {
  const std::lock_guard lock(file_hosts_mutex);
  FileHosts().emplace(key, std::move(hosts));
}

std::vector<std::string> HostsOf(const json& answer) {
  std::vector<std::string> hosts;
  if (!answer.contains("hosts") || !answer["hosts"].is_array()) return hosts;
  for (const json& host : answer["hosts"]) {
    if (host.is_string()) hosts.push_back(host.get<std::string>());
  }
  return hosts;
}

// Of build_hosts: the repository's own.
Result<sandbox::AllowedHost> ParseHost(const std::string& text) {
  if (text.find("://") != std::string::npos) {
    Result<sandbox::AllowedHost> host = sandbox::HostOfUrl(text);
    if (host.ok()) return host;
    return Status(Code::kInvalidArgument, Boundary::kEnvironment,
                  "build_hosts: " + host.status().message());
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return sandbox::AllowedHost{text, 443};
  const int port = std::atoi(text.c_str() + colon + 1);
  if (port < 1 || port > 65'535 || colon == 0) {
    return Status(Code::kInvalidArgument, Boundary::kEnvironment,
                  "build_hosts: not \"host\" or \"host:port\": " + text);
  }
  return sandbox::AllowedHost{text.substr(0, colon), static_cast<uint16_t>(port)};
}

std::string Today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

// uv separates indexes by spaces, and folders of wheels by commas.
std::string Joined(const std::vector<std::string>& values, size_t from, const char* separator) {
  std::string text;
  for (size_t i = from; i < values.size(); ++i) text += (i > from ? separator : "") + values[i];
  return text;
}

}  // namespace

Status WithoutPython(const Status& status) {
  if (status.code() != Code::kNotFound && status.code() != Code::kFailedPrecondition) return status;
  return NoBasePython(status.message());
}

Result<std::unique_ptr<BuildSandbox>> BuildSandbox::Open(const DriverContext& context,
                                                         const v1::RepositorySettings& settings,
                                                         const BuildSandboxOptions& options,
                                                         std::stop_token stop) {
  std::unique_ptr<BuildSandbox> made(new BuildSandbox());
  TASKMINT_ASSIGN_OR_RETURN(const std::string uv, FindUv());
  const char* home = std::getenv("HOME");
  made->sources_ = ReadPackageSources(PackageVariables(), home != nullptr ? home : "/");
  sandbox::SandboxSpec spec;
  spec.work_path = kBuildWork;
  spec.mounts = options.mounts;
  spec.mounts.push_back({uv, kUvInside, false});
  for (const sandbox::Mount& mount : made->sources_.mounts) spec.mounts.push_back(mount);
  spec.scratch_paths = options.scratch_paths;
  spec.limits.disk_bytes_max = int64_t{4} << 30;
  spec.limits.memory_bytes_max = int64_t{8} << 30;
  spec.variables = made->sources_.variables;
  spec.variables["PYTHONHASHSEED"] = "0";
  spec.variables["UV_NO_PROGRESS"] = "1";
  spec.variables["UV_CACHE_DIR"] = "/tmp/uv-cache";
  spec.variables["SOURCE_DATE_EPOCH"] = "315532800";
  if (made->sources_.no_index) spec.variables["UV_NO_INDEX"] = "1";
  if (options.network && (!made->sources_.no_index || settings.build_hosts_size() > 0)) {
    TASKMINT_ASSIGN_OR_RETURN(made->proxy_, sandbox::Proxy::Start({}));
    for (const std::string& text : settings.build_hosts()) {
      TASKMINT_ASSIGN_OR_RETURN(const sandbox::AllowedHost host, ParseHost(text));
      made->Allow(host);
    }
    // An index on this machine is reached as any other: through the proxy.
    spec.variables["no_proxy"] = spec.variables["NO_PROXY"] = "";
    spec.network = {sandbox::Network::Mode::kProxy, made->proxy_->socket_path()};
  }
  const std::vector<std::string>& urls = made->sources_.index_urls;
  if (options.index_variables && !urls.empty()) {
    const size_t extra = made->sources_.has_default_index ? 1 : 0;
    if (extra == 1) spec.variables["UV_DEFAULT_INDEX"] = urls[0];
    if (urls.size() > extra) spec.variables["UV_INDEX"] = Joined(urls, extra, " ");
  }
  if (!made->sources_.find_links.empty()) {
    spec.variables["UV_FIND_LINKS"] = Joined(made->sources_.find_links, 0, ",");
  }
  TASKMINT_ASSIGN_OR_RETURN(made->sandbox_, context.sandboxes.Open(spec, stop));
  FileTree scripts;
  for (const char* name :
       {"resolve.py", "locking.py", "package_index.py", "fetch.py", "build.py"}) {
    TASKMINT_RETURN_IF_ERROR(scripts.Set(name, RegularFile(std::string(PythonScript(name)))));
  }
  TASKMINT_RETURN_IF_ERROR(made->sandbox_->Put(scripts, kScriptFolder, 0));
  if (made->proxy_ != nullptr) TASKMINT_RETURN_IF_ERROR(made->AllowIndexes(stop));
  return made;
}

// Lets the sandbox reach the indexes, and the hosts that their pages link to.
Status BuildSandbox::AllowIndexes(std::stop_token stop) {
  if (sources_.no_index) return OkStatus();
  if (!sources_.has_default_index) {
    sandbox::Command help;
    help.argv = {kUvInside, "pip", "install", "--help"};
    TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult result, sandbox_->Run(help, stop));
    TASKMINT_ASSIGN_OR_RETURN(const std::string url, DefaultIndexIn(result.output));
    sources_.index_urls.insert(sources_.index_urls.begin(), url);
    sources_.has_default_index = true;
  }
  std::string key;
  for (const std::string& url : sources_.index_urls) {
    key += url + "\n";
    if (url.starts_with("file://")) continue;
    TASKMINT_ASSIGN_OR_RETURN(const sandbox::AllowedHost host, HostOf(url));
    Allow(host);
  }
  for (const std::string& link : sources_.find_links) {
    if (link.starts_with('/')) continue;
    TASKMINT_ASSIGN_OR_RETURN(const sandbox::AllowedHost host, HostOf(link));
    Allow(host);
  }
  std::optional<std::vector<std::string>> found = KnownFileHosts(key);
  if (!found) {
    TASKMINT_ASSIGN_OR_RETURN(const json answer, RunScript("resolve.py", {"hosts"}, {}, stop));
    found = HostsOf(answer);
    KeepFileHosts(key, *found);
  }
  for (const std::string& text : *found) {
    TASKMINT_ASSIGN_OR_RETURN(const sandbox::AllowedHost host, ParseHost(text));
    Allow(host);
  }
  return OkStatus();
}

void BuildSandbox::Allow(const sandbox::AllowedHost& host) {
  proxy_->Allow(host);
  hosts_.push_back(host.host + ":" + std::to_string(host.port));
}

Result<json> BuildSandbox::RunScript(std::string_view name,
                                     const std::vector<std::string>& arguments, json request,
                                     std::stop_token stop) {
  request["uv"] = kUvInside;
  request["python"] = kBasePython;
  // build.py looks nothing up itself, and runs what should not read credentials.
  const bool looks_up = name != "build.py";
  request["index_urls"] = json::array();
  for (const std::string& url : sources_.index_urls) {
    if (looks_up && !url.starts_with("file://")) request["index_urls"].push_back(url);
  }
  request["find_links"] = looks_up ? json(sources_.find_links) : json::array();
  request["hosts"] = hosts_;
  request["tree"] = kBuildWork;
  request["tools_date"] = kToolsDate;
  request["today"] = Today();
  sandbox::Command command;
  command.argv = {kBasePython, "-I", std::string(kScriptFolder) + "/" + std::string(name)};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.input = DumpJson(request);
  command.wall_ms_max = kScriptMsMax;
  command.output_bytes_max = 16 << 20;
  auto run = sandbox_->Run(command, stop);
  if (!run.ok()) return WithoutPython(run.status());
  if (run->ending == sandbox::Ending::kCancelled) {
    return Status(Code::kCancelled, Boundary::kEnvironment, "cancelled");
  }
  if (run->ending == sandbox::Ending::kWallTime) {
    return Status(Code::kDeadlineExceeded, Boundary::kEnvironment,
                  "building the environment took longer than " +
                      std::to_string(kScriptMsMax / 60'000) + " minutes");
  }
  const std::string ended =
      std::string(name) + " ended with " + std::string(sandbox::EndingName(run->ending)) + " ";
  if (run->ending != sandbox::Ending::kExited) {  // killed from outside: no judgement
    return Status(Code::kAborted, Boundary::kSandbox,
                  ended + std::to_string(run->signal) + ": is there memory enough?");
  }
  auto answer = ParseJson(run->output);
  if (run->exit_code != 0 || !answer.ok() || !answer->is_object()) {
    return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                  ended + std::to_string(run->exit_code) + ": " +
                      CutMiddle(Printable(run->error_output), 1500));
  }
  if (answer->contains("offline")) {
    return Status(Code::kUnavailable, Boundary::kEnvironment,
                  "no network: the package index cannot be reached (" +
                      Printable(StringOr(*answer, "offline", "")) +
                      "); connect, or name a local index with UV_DEFAULT_INDEX or UV_FIND_LINKS");
  }
  if (answer->contains("refusal")) {
    return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                  Printable(StringOr(*answer, "refusal", "")));
  }
  return std::move(answer).value();
}

}  // namespace taskmint::environments
