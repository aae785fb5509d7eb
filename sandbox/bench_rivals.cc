#include "sandbox/bench_rivals.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "proto/base/json.h"
#include "proto/base/utf8.h"
#include "sandbox/bubblewrap.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

using nlohmann::json;

constexpr size_t kSaidBytesMax = 300;
constexpr std::array kRootLinks = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

// Its standard error goes into a pipe, which holds what a short complaint needs.
class SpawnActions {
 public:
  explicit SpawnActions(int error_fd) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, 1, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, error_fd, 2);
  }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// The last line of what it wrote.
std::string Said(int fd) {
  std::array<char, 4096> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  std::string text(buffer.data(), size > 0 ? static_cast<size_t>(size) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return Printable(text.substr(0, kSaidBytesMax));
}

// An executable of that name on PATH or among the system's programs; empty where there is none.
std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "" : path;
  folders += ":/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin";
  for (size_t begin = 0; begin < folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    std::string program = folders.substr(begin, end - begin) + "/" + name;
    if (program[0] == '/' && ::access(program.c_str(), X_OK) == 0) return program;
    begin = end + 1;
  }
  return "";
}

// Where a folder of the root leads on this host; empty where it is none.
std::string LinkTarget(const char* path) {
  std::array<char, 4096> target;
  const ssize_t size = ::readlink(path, target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<size_t>(size)) : "";
}

std::vector<std::string> BubblewrapArguments(const std::string& program) {
  std::vector<std::string> arguments = {
      program,         "--unshare-user", "--unshare-all", "--as-pid-1", "--die-with-parent",
      "--new-session", "--cap-drop",     "ALL",           "--clearenv", "--hostname",
      "taskmint",      "--uid",          "1000",          "--gid",      "1000",
      "--ro-bind",     "/usr",           "/usr"};
  const Result<std::shared_ptr<const HostParts>> parts = MakeHostParts();
  if (parts.ok() && (*parts)->abilities.disable_userns) arguments.emplace_back("--disable-userns");
  for (const char* path : kRootLinks) {
    const std::string target = LinkTarget(path);
    if (!target.empty())
      arguments.insert(arguments.end(), {"--symlink", target, path});
    else if (std::filesystem::is_directory(path))
      arguments.insert(arguments.end(), {"--ro-bind", path, path});
  }
  arguments.insert(arguments.end(),
                   {"--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--", kTrueProgram});
  return arguments;
}

json MountOf(const std::string& place, const std::string& type, const std::string& source,
             std::vector<std::string> options) {
  return {{"destination", place}, {"type", type}, {"source", source}, {"options", options}};
}

// A bundle of the Open Container Initiative's runtime specification.
void WriteBundle(const std::string& folder) {
  const std::string root = folder + "/rootfs";
  for (const char* place : {"/usr", "/proc", "/dev", "/tmp"}) {
    std::filesystem::create_directories(root + place);
  }
  json mounts = json::array();
  mounts.push_back(MountOf("/usr", "bind", "/usr", {"rbind", "ro", "nosuid", "nodev"}));
  for (const char* path : kRootLinks) {
    const std::string target = LinkTarget(path);
    if (!target.empty()) {
      std::filesystem::create_symlink(target, root + path);
    } else if (std::filesystem::is_directory(path)) {
      std::filesystem::create_directories(root + path);
      mounts.push_back(MountOf(path, "bind", path, {"rbind", "ro", "nosuid", "nodev"}));
    }
  }
  mounts.push_back(MountOf("/proc", "proc", "proc", {"nosuid", "nodev", "noexec"}));
  mounts.push_back(MountOf("/dev", "tmpfs", "tmpfs", {"nosuid", "mode=755", "size=65536k"}));
  mounts.push_back(MountOf("/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev"}));
  const auto map = [](uint32_t id) {
    return json::array({{{"containerID", 0}, {"hostID", id}, {"size", 1}}});
  };
  json namespaces = json::array();
  for (const char* type : {"user", "pid", "ipc", "uts", "mount", "network"}) {
    namespaces.push_back({{"type", type}});
  }
  const json none = json::array();
  const json config = {
      {"ociVersion", "1.0.2"},
      {"process",
       {{"terminal", false},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"args", {kTrueProgram}},
        {"env", {"PATH=/usr/bin:/bin"}},
        {"cwd", "/"},
        {"noNewPrivileges", true},
        {"capabilities", {{"bounding", none}, {"effective", none}, {"permitted", none}}}}},
      {"root", {{"path", "rootfs"}, {"readonly", true}}},
      {"hostname", "taskmint"},
      {"mounts", mounts},
      {"linux",
       {{"namespaces", namespaces},
        {"uidMappings", map(::geteuid())},
        {"gidMappings", map(::getegid())}}}};
  std::ofstream(folder + "/config.json") << DumpJson(config);
}

BenchRival MakeRuntime(const std::string& name, const std::string& folder) {
  const std::string program = FindProgram(name);
  const std::string bundle = folder + "/" + name;
  BenchRival rival(name, [=](int64_t number) -> std::vector<std::string> {
    const std::string id =
        "taskmint-bench-" + std::to_string(::getpid()) + "-" + std::to_string(number);
    return {program, "--root", bundle + "/state", "run", "--bundle", bundle, id};
  });
  if (program.empty()) {
    rival.MarkMissing("not installed");
    return rival;
  }
  try {
    WriteBundle(bundle);
  } catch (const std::exception& error) {
    rival.MarkMissing(std::string("cannot write a bundle: ") + error.what());
  }
  return rival;
}

}  // namespace

BenchRival::BenchRival(std::string name, std::function<std::vector<std::string>(int64_t)> arguments)
    : name_(std::move(name)), arguments_(std::move(arguments)) {}

Result<double> BenchRival::Run(int64_t number) const {
  const std::vector<std::string> arguments = arguments_(number);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 2> variables = {path.data(), nullptr};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return Error(Code::kUnavailable, "no descriptors are left");
  }
  const UniqueFd error_read(ends[0]);
  UniqueFd error_write(ends[1]);
  const SpawnActions actions(error_write.get());

  const auto begin = std::chrono::steady_clock::now();
  pid_t pid = 0;
  const int refused =
      ::posix_spawn(&pid, argv[0], actions.get(), nullptr, argv.data(), variables.data());
  if (refused != 0) {
    return Error(Code::kUnavailable, name_ + " cannot be started: " + std::strerror(refused));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
  error_write.reset();
  if (status == 0) return taken.count();
  const std::string said = Said(error_read.get());
  return Error(Code::kUnavailable,
               "refuses: " + (said.empty() ? "wait status " + std::to_string(status) : said));
}

std::vector<BenchRival> MakeBenchRivals(const std::string& folder) {
  std::vector<BenchRival> rivals;
  rivals.emplace_back(kSpawnRow, [](int64_t) { return std::vector<std::string>{kTrueProgram}; });
  const std::string bubblewrap = FindBubblewrap();
  rivals.emplace_back(kBubblewrapRow,
                      [arguments = BubblewrapArguments(bubblewrap)](int64_t) { return arguments; });
  if (bubblewrap.empty()) rivals.back().MarkMissing("not installed");
  rivals.push_back(MakeRuntime("runc", folder));
  if (!FindProgram("crun").empty()) rivals.push_back(MakeRuntime("crun", folder));
  for (BenchRival& rival : rivals) {
    if (!rival.missing().empty()) continue;
    if (const auto tried = rival.Run(0); !tried.ok()) rival.MarkMissing(tried.status().message());
  }
  return rivals;
}

}  // namespace taskmint::sandbox
