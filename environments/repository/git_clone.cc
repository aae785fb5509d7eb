#include "environments/repository/git_clone.h"

#include <re2/re2.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <vector>

#include "environments/errors.h"
#include "proto/base/utf8.h"
#include "sandbox/proxy.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCloneWallMsMax = 30 * 60 * 1000;
// A clone lies in the sandbox's memory before it is taken out.
constexpr int64_t kCloneBytesMax = int64_t{2} << 30;
constexpr const char* kBundleInside = "/source.bundle";
constexpr const char* kRepositoryInside = "/source";

// A URL taken apart: the place alone, and what HTTP sends to prove who asks.
struct SplitUrl {
  std::string place;          // "https://host/path?query"
  std::string authorization;  // "Basic ...", empty without credentials
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string PercentDecoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      result += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string Base64(std::string_view bytes) {
  static const char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](size_t j) {
      return j < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[j])) : 0u;
    };
    const unsigned group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    text += kDigits[group >> 18];
    text += kDigits[group >> 12 & 63];
    text += i + 1 < bytes.size() ? kDigits[group >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
  return text;
}

SplitUrl Split(const std::string& url) {
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const size_t at = url.rfind('@', end);
  SplitUrl split;
  split.place = LowerCase(url.substr(0, begin));
  if (at != std::string::npos && at >= begin && at < end) {
    std::string user = PercentDecoded(url.substr(begin, at - begin));
    if (user.find(':') == std::string::npos) user += ':';
    split.authorization = "Basic " + Base64(user);
    split.place += url.substr(at + 1);
  } else {
    split.place += url.substr(begin);
  }
  split.place.erase(std::min(split.place.find('#'), split.place.size()));
  return split;
}

// What git said, on one line.
std::string MessagesOf(const sandbox::CommandResult& result) {
  std::string words = Printable(CutMiddle(result.error_output, 600));
  std::replace(words.begin(), words.end(), '\n', ' ');
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return words;
}

Status ExplainUrlFailure(const std::string& name, const std::string& host,
                         const sandbox::CommandResult& result) {
  const std::string words = MessagesOf(result);
  const auto said = [&words](const char* pattern) { return RE2::PartialMatch(words, pattern); };
  if (said(R"((?i)certificate|SSL|TLS)") && !said("(?i)unexpected eof|connection reset")) {
    return Error(Code::kFailedPrecondition,
                 host + " is not trusted: " + words +
                     "; name its authority's certificates in GIT_SSL_CAINFO, or install them");
  }
  if (said("(?i)could not read Username|Authentication failed|error: 40[13]|returned error: "
           "40[13]")) {
    return Error(Code::kNotFound,
                 "no such repository, or it is private: " + name +
                     "; check the URL, or put a token into it (https://user:token@host/path)");
  }
  if (said("(?i)not found|error: 404|error: 410|not valid: is this a git repository")) {
    return Error(Code::kNotFound, "no git repository at " + name + ": check the URL");
  }
  if (said("(?i)No space left|File too large|file write error")) {
    return Error(Code::kResourceExhausted,
                 name + " has more than " + std::to_string(kCloneBytesMax >> 20) +
                     " MiB: clone it yourself with `git clone --bare` and name the folder");
  }
  return Error(Code::kUnavailable,
               "cannot fetch from " + host + ": " + words +
                   "; check the network and the URL, or clone it elsewhere and " +
                   "name the folder or a bundle");
}

Status ExplainBundleFailure(const std::string& name, const sandbox::CommandResult& result) {
  const std::string words = MessagesOf(result);
  if (words.find("prerequisite") != std::string::npos) {
    return Error(Code::kFailedPrecondition,
                 "the bundle " + name + " holds only a part of a history: write a whole one with " +
                     "`git bundle create FILE --all`");
  }
  return Error(Code::kFailedPrecondition,
               "the bundle " + name + " cannot be read: " + words +
                   "; write it again with `git bundle create FILE --all`");
}

// Reads the header of a bundle. OK when it is one that can be cloned.
Status CheckBundle(const std::string& path, const std::string& name) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Error(Code::kFailedPrecondition,
                 "'" + Printable(path) + "' cannot be read by this user: run as its owner");
  }
  std::string header(4096, '\0');
  in.read(header.data(), static_cast<std::streamsize>(header.size()));
  header.resize(static_cast<size_t>(in.gcount()));
  if (!header.starts_with("# v2 git bundle\n") && !header.starts_with("# v3 git bundle\n")) {
    return Error(Code::kInvalidArgument,
                 "'" + Printable(path) +
                     "' is a file but no git bundle: name a repository's folder, " +
                     "a URL, or a file written by `git bundle create FILE --all`");
  }
  if (header.find("\n@object-format=sha256\n") != std::string::npos) {
    return Error(Code::kFailedPrecondition,
                 "the bundle " + name + " stores its objects as sha256, which is not supported: " +
                     "convert the repository with git fast-export and git fast-import");
  }
  return OkStatus();
}

// One run of git to make.
struct GitPlan {
  std::string name;
  std::string host;  // empty for a bundle
  sandbox::SandboxSpec spec;
  std::vector<std::string> arguments;
  // What a run that failed means; nothing: what it means for a clone.
  std::function<Status(const sandbox::CommandResult&)> explain;
};

// Runs git in a sandbox of its own, which is left in `box`.
Result<sandbox::CommandResult> RunGit(sandbox::SandboxHost& host, GitPlan& plan,
                                      std::unique_ptr<sandbox::Sandbox>& box,
                                      std::stop_token stop) {
  plan.spec.limits.disk_bytes_max = kCloneBytesMax;
  plan.spec.limits.file_bytes_max = kCloneBytesMax;
  plan.spec.limits.memory_bytes_max = 3 * kCloneBytesMax;
  plan.spec.variables.insert({{"GIT_CONFIG_NOSYSTEM", "1"},
                              {"GIT_CONFIG_GLOBAL", "/dev/null"},
                              {"GIT_TERMINAL_PROMPT", "0"},
                              {"GIT_ASKPASS", "/bin/false"},
                              {"LC_ALL", "C"}});
  TASKMINT_ASSIGN_OR_RETURN(box, host.Open(plan.spec, stop));
  sandbox::Command command;
  command.argv = plan.arguments;
  command.argv.insert(command.argv.begin(), "git");
  command.wall_ms_max = kCloneWallMsMax;
  Result<sandbox::CommandResult> result = box->Run(command, stop);
  if (!result.ok() && result.status().code() == Code::kNotFound) {
    return Error(Code::kFailedPrecondition, "git is not installed: `apt-get install git`");
  }
  TASKMINT_RETURN_IF_ERROR(result.status());
  if (result->ending == sandbox::Ending::kCancelled) {
    return Error(Code::kCancelled, "cloning " + plan.name + " was cancelled");
  }
  if (result->ending == sandbox::Ending::kWallTime) {
    return Error(Code::kDeadlineExceeded,
                 "cloning " + plan.name + " took longer than " +
                     std::to_string(kCloneWallMsMax / 60'000) +
                     " minutes: clone it yourself with `git clone --bare` and name the folder");
  }
  if (result->ending != sandbox::Ending::kExited || result->exit_code != 0) {
    if (result->ending == sandbox::Ending::kSignalled ||
        result->ending == sandbox::Ending::kMemory) {
      result->error_output += " File too large";
    }
    if (plan.explain) return plan.explain(*result);
    return plan.host.empty() ? ExplainBundleFailure(plan.name, *result)
                             : ExplainUrlFailure(plan.name, plan.host, *result);
  }
  return result;
}

Result<FileTree> Clone(sandbox::SandboxHost& host, GitPlan& plan, const std::string& source,
                       std::stop_token stop) {
  const std::string inside = plan.spec.work_path + "/source.git";
  plan.arguments.insert(plan.arguments.begin(),
                        {"clone", "--bare", "--quiet", "--no-tags", "--template="});
  plan.arguments.insert(plan.arguments.end(), {"--", source, inside});
  std::unique_ptr<sandbox::Sandbox> box;
  TASKMINT_RETURN_IF_ERROR(RunGit(host, plan, box, stop).status());
  sandbox::CollectLimits limits;
  limits.bytes_max = kCloneBytesMax;
  return box->Collect(inside, limits);
}

// A plan whose sandbox reaches the URL's host through the proxy, and nothing else.
struct UrlPlan {
  std::unique_ptr<sandbox::Proxy> proxy;
  GitPlan git;
  std::string place;
};

Result<UrlPlan> PlanForUrl(const std::string& url, const std::string& name) {
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::AllowedHost allowed, sandbox::HostOfUrl(url));
  UrlPlan plan;
  TASKMINT_ASSIGN_OR_RETURN(plan.proxy, sandbox::Proxy::Start({allowed}));
  SplitUrl split = Split(url);
  plan.place = std::move(split.place);
  plan.git.name = name;
  plan.git.host = Printable(allowed.host);
  sandbox::SandboxSpec& spec = plan.git.spec;
  spec.network = {sandbox::Network::Mode::kProxy, plan.proxy->socket_path()};
  spec.variables["GIT_ALLOW_PROTOCOL"] = "http:https";
  // A server on this machine's loopback device lies outside the sandbox, too.
  spec.variables["no_proxy"] = spec.variables["NO_PROXY"] = "";
  if (!split.authorization.empty()) {
    // Not on the command line, which other users of the machine can read, nor in any URL that git
    // prints or keeps.
    spec.variables.insert({{"GIT_CONFIG_COUNT", "1"},
                           {"GIT_CONFIG_KEY_0", "http.extraHeader"},
                           {"GIT_CONFIG_VALUE_0", "Authorization: " + split.authorization}});
  }
  return plan;
}

}  // namespace

std::string PlaceOfUrl(const std::string& url) { return Split(url).place; }

Result<FileTree> CloneUrl(sandbox::SandboxHost& host, const std::string& url,
                          const std::string& name, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(UrlPlan plan, PlanForUrl(url, name));
  plan.git.arguments = {"--single-branch"};
  return Clone(host, plan.git, plan.place, stop);
}

Result<std::string> HeadOfUrl(sandbox::SandboxHost& host, const std::string& url,
                              const std::string& name, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(UrlPlan plan, PlanForUrl(url, name));
  plan.git.arguments = {"ls-remote", "--quiet", "--", plan.place, "HEAD"};
  std::unique_ptr<sandbox::Sandbox> box;
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::CommandResult result, RunGit(host, plan.git, box, stop));
  static const RE2 kHead("([0-9a-f]{40})\tHEAD\n");
  std::string sha;
  RE2::FullMatch(result.output, kHead, &sha);
  return sha;
}

Result<FileTree> CloneBundle(sandbox::SandboxHost& host, const std::string& path,
                             const std::string& name, std::stop_token stop) {
  TASKMINT_RETURN_IF_ERROR(CheckBundle(path, name));
  GitPlan plan;
  plan.name = name;
  plan.spec.mounts.push_back({fs::absolute(path).string(), kBundleInside, false});
  plan.spec.variables["GIT_ALLOW_PROTOCOL"] = "file";
  return Clone(host, plan, kBundleInside, stop);
}

Result<std::string> BundleRepository(sandbox::SandboxHost& host, const std::string& path,
                                     const std::string& name, int64_t bytes_max,
                                     std::stop_token stop) {
  GitPlan plan;
  plan.name = name;
  plan.spec.mounts.push_back({fs::absolute(path).string(), kRepositoryInside, false});
  plan.spec.variables.insert({{"GIT_CONFIG_COUNT", "1"},
                              {"GIT_CONFIG_KEY_0", "safe.directory"},
                              {"GIT_CONFIG_VALUE_0", "*"}});
  const std::string inside = plan.spec.work_path + "/history.bundle";
  plan.arguments = {"-C",   kRepositoryInside, "bundle", "create", "--quiet", inside,
                    "HEAD", "--branches"};
  plan.explain = [&name](const sandbox::CommandResult& result) {
    return Error(Code::kFailedPrecondition,
                 name + " cannot be bundled: " + MessagesOf(result) +
                     "; try `git bundle create FILE HEAD --branches` there, and name the file");
  };
  std::unique_ptr<sandbox::Sandbox> box;
  TASKMINT_RETURN_IF_ERROR(RunGit(host, plan, box, stop).status());
  Result<std::string> bundle = box->Get(inside, bytes_max);
  if (bundle.status().code() != Code::kResourceExhausted) return bundle;
  return Error(Code::kResourceExhausted, "the history of " + name + " is larger than " +
                                             std::to_string(bytes_max >> 20) +
                                             " MiB: mint where the repository is");
}

}  // namespace taskmint::environments
