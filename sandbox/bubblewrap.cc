#include "sandbox/bubblewrap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "proto/base/utf8.h"
#include "sandbox/agent/staging.h"
#include "sandbox/errors.h"
#include "sandbox/root_layout.h"
#include "sandbox/seccomp.h"

extern "C" {
extern const unsigned char taskmint_agent_begin[];
extern const unsigned char taskmint_agent_end[];
}

namespace taskmint::sandbox {
namespace {

constexpr int64_t kOpenMsMax = 30'000;
constexpr uint32_t kSlots = 4096;
// What the clocks of a machine that has just started say. Not nothing: programs take 0 for never.
constexpr char kClocksStartS[] = "100";
// How long bubblewrap may take to end by itself behind the agent.
constexpr int64_t kMonitorMsMax = 1'000;
// By how much the limit of each user lies above the control group's, which counts refusals.
constexpr int64_t kProcessesAbove = 16;

Result<UniqueFd> MemoryFile(const char* name, std::string_view bytes, bool executable) {
  constexpr unsigned kExec = 0x10;  // MFD_EXEC, Linux 6.3; older kernels know only executable ones
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd file(::memfd_create(name, executable ? flags | kExec : flags));
  if (!file.valid() && errno == EINVAL) file.reset(::memfd_create(name, flags));
  while (file.valid() && !bytes.empty()) {
    const ssize_t size = ::write(file.get(), bytes.data(), bytes.size());
    if (size <= 0)
      file.reset();
    else
      bytes.remove_prefix(static_cast<size_t>(size));
  }
  if (!file.valid()) {
    return Error(Code::kUnavailable, std::string("cannot make a memory file: ") + strerror(errno));
  }
  ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return file;
}

// The same memory file with an offset of its own: bubblewrap reads to the end.
Result<UniqueFd> Reopen(const UniqueFd& file) {
  UniqueFd copy(
      ::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy.valid()) return Error(Code::kAborted, std::string("no descriptor: ") + strerror(errno));
  return copy;
}

// The first id of the slots: in the range that no distribution hands out, where this user
// namespace maps it.
uid_t FindFirstSlotUid() {
  constexpr uid_t kPreferred = 1'900'000'000;
  constexpr uid_t kFallback = 61'000;
  std::ifstream map("/proc/self/uid_map");
  for (uint64_t inside, outside, count; map >> inside >> outside >> count;) {
    if (inside <= kPreferred && kPreferred + kSlots <= inside + count) return kPreferred;
  }
  return kFallback;
}

uid_t FirstSlotUid() {
  static const uid_t first = FindFirstSlotUid();
  return first;
}

// Whether a part of a path below /usr is a link, which is not followed while a root is built.
bool HasLink(const std::string& place) {
  if (!place.starts_with("/usr/")) return false;
  for (size_t end = place.find('/', 5);; end = place.find('/', end + 1)) {
    struct stat info;
    if (::lstat(place.substr(0, end).c_str(), &info) != 0) return false;
    if (S_ISLNK(info.st_mode)) return true;
    if (end == std::string::npos) return false;
  }
}

std::string Tail(int fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string text(4096, '\0');
  const ssize_t size = ::read(fd, text.data(), text.size());
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return Printable(text);
}

// Everything that is handed to one bubblewrap.
struct Start {
  SpawnRequest request;
  std::vector<UniqueFd> files;  // open until the spawn
  std::shared_ptr<const StagingNamespace> staging;
  std::map<std::string, std::string> variables;
};

// A file with what `file` has, from its beginning.
RootStep DataStep(UniqueFd file, const std::string& path, const std::string& mode, Start* start) {
  RootStep step{.kind = RootStep::Kind::kData, .place = path, .fd = file.get(), .mode = mode};
  start->request.kept_fds.push_back(file.get());
  start->files.push_back(std::move(file));
  return step;
}

// The files of a sandbox that are ours.
Result<std::vector<RootStep>> FilesOfOurs(const HostParts& parts, const SandboxSpec& spec,
                                          Start* start) {
  std::vector<RootStep> steps;
  for (const auto& [path, file] : parts.etc_files) {
    TASKMINT_ASSIGN_OR_RETURN(UniqueFd copy, Reopen(file));
    steps.push_back(DataStep(std::move(copy), path, "0444", start));
  }
  if (parts.staging != nullptr) {
    steps.push_back(
        {.kind = RootStep::Kind::kStaged, .place = kAgentInside, .source = kStagedAgent});
  } else {
    TASKMINT_ASSIGN_OR_RETURN(UniqueFd agent, Reopen(parts.agent));
    steps.push_back(DataStep(std::move(agent), kAgentInside, "0555", start));
  }
  // Opened each time: installing a package replaces it.
  UniqueFd library_cache(::open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC));
  if (spec.base_path.empty() && library_cache.valid()) {
    steps.push_back(DataStep(std::move(library_cache), "/etc/ld.so.cache", "0444", start));
  }
  return steps;
}

void Append(const std::vector<std::string>& some, std::vector<std::string>* all) {
  all->insert(all->end(), some.begin(), some.end());
}

// What the launcher does first.
void AddLauncher(const HostParts& parts, const Session& session, const RootLayout& layout,
                 Start* start) {
  std::vector<std::string>& arguments = start->request.arguments;
  start->request.program = "/proc/self/fd/" + std::to_string(parts.agent.get());
  arguments = {"launch", "--parent", std::to_string(::getpid())};
  if (session.slot.uid() != 0) Append({"--uid", std::to_string(session.slot.uid())}, &arguments);
  if (session.cgroup != nullptr) {
    for (const std::string& path : session.cgroup->JoinPaths())
      Append({"--join", path}, &arguments);
  }
  if (parts.staging == nullptr) {
    std::vector<RootStep> given = layout.steps;  // whose owner only the launcher can change
    std::erase_if(given, [](const RootStep& step) { return step.kind != RootStep::Kind::kOwn; });
    return Append(StepsForLauncher(given), &arguments);
  }
  const StagingNamespace& staging = *start->staging;
  Append({"--clocks", kClocksStartS, "--staging", std::to_string(staging.mounts())}, &arguments);
  start->request.kept_fds.push_back(staging.mounts());
  if (staging.owner() >= 0) {
    Append({"--owner", std::to_string(staging.owner())}, &arguments);
    start->request.kept_fds.push_back(staging.owner());
  }
  const RootStep& shared = layout.shared_memory;
  Append({"--shared-memory", MemoryOptions(shared.bytes, shared.inodes, shared.mode)}, &arguments);
  Append(StepsForLauncher(layout.steps), &arguments);
}

// How bubblewrap shows the root.
std::vector<std::string> RootArguments(const HostParts& parts, const RootLayout& layout) {
  std::vector<std::string> arguments;
  if (parts.staging != nullptr)
    arguments = {"--dev-bind", kStagedRoot, "/"};
  else
    arguments = StepsForBubblewrap(layout.steps);
  Append(layout.kernel_arguments, &arguments);
  if (parts.staging == nullptr) {
    Append({"--dev", "/dev"}, &arguments);
    Append(StepsForBubblewrap({layout.shared_memory}), &arguments);
    Append({"--remount-ro", "/dev", "--remount-ro", "/"}, &arguments);
  }
  Append({"--chdir", "/"}, &arguments);
  return arguments;
}

Result<Start> Prepare(const HostParts& parts, const SandboxSpec& spec, const Session& session,
                      int control_fd) {
  Start start;
  // Before the host is looked at, so that it shows what is found there.
  if (parts.staging != nullptr) start.staging = parts.staging->Current();
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<RootStep> files, FilesOfOurs(parts, spec, &start));
  TASKMINT_ASSIGN_OR_RETURN(RootLayout layout, LayOutRoot(spec, files, parts.abilities));
  start.variables = std::move(layout.variables);
  AddLauncher(parts, session, layout, &start);

  std::vector<std::string>& arguments = start.request.arguments;
  Append(
      {"--", parts.bwrap_path, "--unshare-user", "--unshare-all", "--as-pid-1", "--die-with-parent",
       "--new-session", "--cap-drop", "ALL", "--clearenv", "--uid", "1000", "--gid", "1000"},
      &arguments);
  const Abilities& abilities = parts.abilities;
  if (abilities.host_name) Append({"--hostname", "taskmint"}, &arguments);
  if (abilities.disable_userns) arguments.emplace_back("--disable-userns");
  if (!parts.walls.network_namespace) arguments.emplace_back("--share-net");
  if (parts.walls.system_call_filter) {
    TASKMINT_ASSIGN_OR_RETURN(UniqueFd seccomp, Reopen(parts.seccomp));
    Append({"--seccomp", std::to_string(seccomp.get())}, &arguments);
    start.request.kept_fds.push_back(seccomp.get());
    start.files.push_back(std::move(seccomp));
  }
  start.request.kept_fds.push_back(control_fd);
  Append(RootArguments(parts, layout), &arguments);

  const Limits& limits = spec.limits;
  const bool group_counts = session.cgroup != nullptr && session.cgroup->limits_processes();
  const bool group_limits_memory = session.cgroup != nullptr && session.cgroup->limits_memory();
  Append({"--", kAgentInside, "serve", std::to_string(control_fd),
          // The agent is a process of that user, too.
          std::to_string(limits.processes_max + (group_counts ? kProcessesAbove : 1)),
          std::to_string(group_limits_memory ? 0 : limits.memory_bytes_max),
          std::to_string(limits.file_bytes_max), std::to_string(limits.open_files_max),
          spec.network.mode == Network::Mode::kNone ? "" : kProxySocketInside,
          parts.walls.second ? "second-wall" : ""},
         &arguments);
  return start;
}

}  // namespace

bool Slot::IsOne(uid_t uid) { return uid >= FirstSlotUid() && uid < FirstSlotUid() + kSlots; }

Result<Slot> Slot::Take() {
  Slot slot;
  if (::geteuid() != 0) return slot;
  const uid_t first = FirstSlotUid();
  // From where this process stopped, so that the search is short and a user rests after use.
  static std::atomic<uint32_t> next{static_cast<uint32_t>(::getpid())};
  slot.claim_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (uint32_t tries = 0; tries < kSlots; ++tries) {
    const uint32_t number = next++ % kSlots;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "taskmint-slot-" + std::to_string(first + number);
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    const socklen_t size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (::bind(slot.claim_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0) {
      slot.uid_ = first + number;
      return slot;
    }
  }
  return Error(Code::kResourceExhausted, "no user id is left for a sandbox: close some");
}

std::string FindBubblewrap() {
  for (const char* path : {"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return {};
}

Result<std::shared_ptr<const HostParts>> MakeHostParts(const Walls& walls, bool weak) {
  auto parts = std::make_shared<HostParts>();
  parts->walls = walls;
  parts->bwrap_path = FindBubblewrap();
  if (parts->bwrap_path.empty()) {
    return Error(Code::kUnavailable,
                 "bubblewrap is missing: install it (apt-get install bubblewrap)");
  }
  TASKMINT_ASSIGN_OR_RETURN(const std::string help,
                            OutputOf({parts->bwrap_path, "--help"}, 10'000));
  for (const char* option : {"--perms", "--size", "--as-pid-1"}) {
    if (help.find(option) == std::string::npos) {
      return Error(Code::kUnavailable, parts->bwrap_path + " is too old (no " + option +
                                           "): install bubblewrap 0.5 or later");
    }
  }
  parts->cgroups = FindCgroupHome();
  const std::string_view agent(reinterpret_cast<const char*>(taskmint_agent_begin),
                               static_cast<size_t>(taskmint_agent_end - taskmint_agent_begin));
  TASKMINT_ASSIGN_OR_RETURN(parts->agent, MemoryFile("taskmint-agent", agent, true));
  Result<std::unique_ptr<Staging>> staging = Staging::Make(parts->agent);
  if (staging.ok()) parts->staging = std::move(*staging);
  const auto namespaces = staging.ok() ? parts->staging->Current() : nullptr;
  parts->abilities = FindAbilities(parts->bwrap_path, parts->agent, namespaces.get(),
                                   help.find("--disable-userns") != std::string::npos);
  if (!staging.ok()) parts->abilities.stage_refusal = staging.status().message();
  if (!parts->abilities.stage) parts->staging.reset();
  if (!parts->abilities.own_proc && !weak) {
    return Error(Code::kUnavailable,
                 "this container hides parts of /proc, so that no sandbox can have a /proc of its "
                 "own; start it with `--security-opt systempaths=unconfined` (Docker), "
                 "`--security-opt unmask=ALL` (Podman) or `procMount: Unmasked` (Kubernetes), or "
                 "say --sandbox-weak to let sandboxes see the processes of the container");
  }
  TASKMINT_ASSIGN_OR_RETURN(parts->seccomp, MakeSeccompFilter());
  const std::pair<const char*, const char*> files[] = {
      {"/etc/passwd",
       "root:x:0:0:root:/root:/bin/sh\n"
       "dev:x:1000:1000:dev:/tmp:/bin/sh\n"
       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
      {"/etc/group", "root:x:0:\ndev:x:1000:\nnogroup:x:65534:\n"},
      {"/etc/machine-id", "7461736b6d696e740000000000000001\n"},
      {"/etc/hosts", "127.0.0.1 localhost taskmint\n::1 localhost\n"},
      {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
      // Folders of the host belong to nobody inside; git reads them nevertheless.
      {"/etc/gitconfig", "[safe]\n\tdirectory = *\n"}};
  for (const auto& [path, content] : files) {
    TASKMINT_ASSIGN_OR_RETURN(UniqueFd file, MemoryFile("taskmint-etc", content, false));
    parts->etc_files.emplace_back(path, std::move(file));
  }
  return std::shared_ptr<const HostParts>(std::move(parts));
}

void Session::Kill() {
  if (channel != nullptr) channel->Close();
  if (init.valid()) {
    ::syscall(SYS_pidfd_send_signal, init.get(), SIGKILL, nullptr, 0U);
    // The agent's end is the end of its namespace: the kernel kills the rest first.
    pollfd ended{init.get(), POLLIN, 0};
    ::poll(&ended, 1, 10'000);
  }
  if (!monitor.Wait(kMonitorMsMax)) {
    monitor.Kill();
    monitor.Wait(10'000);
  }
  if (init.valid()) {
    // Where bubblewrap did not wait for it, it may be ours to wait for: as process 1 of a container
    // we inherit it.
    siginfo_t ended;
    ::waitid(P_PIDFD, static_cast<id_t>(init.get()), &ended, WEXITED | WNOHANG);
    init.reset();
  }
  cgroup.reset();
  slot = Slot();
}

Status CheckSpec(const SandboxSpec& spec) {
  const auto bad = [](const std::string& what) { return Error(Code::kInvalidArgument, what); };
  const Limits& limits = spec.limits;
  for (const auto& [name, value] : {std::pair{"processes_max", limits.processes_max},
                                    std::pair{"inodes_max", limits.inodes_max},
                                    std::pair{"memory_bytes_max", limits.memory_bytes_max},
                                    std::pair{"disk_bytes_max", limits.disk_bytes_max},
                                    std::pair{"file_bytes_max", limits.file_bytes_max},
                                    std::pair{"open_files_max", limits.open_files_max}}) {
    if (value <= 0) return bad(std::string(name) + " must be positive");
  }
  std::vector<std::string> places = {spec.work_path};
  places.insert(places.end(), spec.scratch_paths.begin(), spec.scratch_paths.end());
  for (const Mount& mount : spec.mounts) places.push_back(mount.inside_path);
  for (const LayeredFolder& folder : spec.layered_folders) {
    if (!folder.writable || folder.inside_path != spec.work_path) {
      places.push_back(folder.inside_path);
    }
  }
  for (size_t i = 0; i < places.size(); ++i) {
    const std::string& place = places[i];
    if (!IsPlainAbsolutePath(place))
      return bad("not a plain absolute path inside: '" + place + "'");
    for (const char* taken : {"/tmp", "/proc", "/dev", "/sbx", "/etc", "/usr", "/bin", "/sbin",
                              "/lib", "/lib32", "/lib64", "/libx32"}) {
      const bool below = place.starts_with(std::string(taken) + "/");
      const bool allowed = std::string_view(taken) == "/usr" || std::string_view(taken) == "/tmp";
      if (place == taken || (below && (!allowed || i == 0))) {
        return bad("the sandbox has " + std::string(taken) +
                   " of its own: choose another place than '" + place + "'");
      }
    }
    if (std::count(places.begin(), places.end(), place) > 1) {
      return bad("two things are to be at '" + place + "'");
    }
    if (spec.base_path.empty() && HasLink(place)) {
      return bad("'" + place + "' lies behind a symbolic link: name the folder that it leads to");
    }
  }
  for (const Mount& mount : spec.mounts) {
    struct stat info;
    if (mount.host_path.empty() || mount.host_path[0] != '/') {
      return bad("not an absolute path of the host: '" + mount.host_path + "'");
    }
    if (::stat(mount.host_path.c_str(), &info) != 0) {
      return bad("cannot show '" + mount.host_path + "': " + std::strerror(errno));
    }
    // A writable one becomes the slot's user's.
    const bool ours = info.st_uid == ::geteuid() || Slot::IsOne(info.st_uid);
    if (mount.writable && (!ours || (info.st_mode & S_ISVTX) != 0)) {
      return bad("'" + mount.host_path + "' is not a folder of ours to be written to");
    }
  }
  TASKMINT_RETURN_IF_ERROR(CheckLayers(spec));
  auto variables = spec.network.variables;
  variables.insert(spec.variables.begin(), spec.variables.end());
  for (const auto& [name, value] : variables) {
    if (name.empty() || name.find('=') != std::string::npos ||
        (name + value).find('\0') != std::string::npos) {
      return bad("not the name of a variable: '" + Printable(name) + "'");
    }
  }
  if (spec.network.mode != Network::Mode::kNone && spec.network.proxy_socket_path.empty()) {
    return bad("a proxy or a package cache is asked for, and none is named");
  }
  return OkStatus();
}

Result<std::shared_ptr<Session>> OpenSession(const HostParts& parts, const SandboxSpec& spec,
                                             std::stop_token stop) {
  TASKMINT_RETURN_IF_ERROR(CheckSpec(spec));
  auto session = std::make_shared<Session>();
  if (parts.walls.user_drop) {
    TASKMINT_ASSIGN_OR_RETURN(session->slot, Slot::Take());
  }
  if (parts.cgroups.kind != CgroupHome::Kind::kNone) {
    TASKMINT_ASSIGN_OR_RETURN(session->cgroup,
                              Cgroup::Make(parts.cgroups, spec.limits.memory_bytes_max,
                                           spec.limits.processes_max + Session::kOwnProcesses));
  }
  int control[2];
  int errors[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0) {
    return Error(Code::kAborted, std::string("no descriptors are left: ") + strerror(errno));
  }
  session->channel = std::make_unique<Channel>(UniqueFd(control[0]));
  UniqueFd agent_end(control[1]);
  if (::pipe2(errors, O_CLOEXEC) != 0) {
    return Error(Code::kAborted, std::string("no descriptors are left: ") + strerror(errno));
  }
  const UniqueFd error_read(errors[0]);
  UniqueFd error_write(errors[1]);
  TASKMINT_ASSIGN_OR_RETURN(Start start, Prepare(parts, spec, *session, agent_end.get()));
  start.request.error_fd = error_write.get();
  TASKMINT_ASSIGN_OR_RETURN(session->monitor, Spawn(start.request));
  session->variables = std::move(start.variables);
  start.files.clear();
  agent_end.reset();
  error_write.reset();

  const StopEvent stopped(stop);
  Result<std::string> hello = session->channel->Receive(kOpenMsMax, &stopped);
  if (!hello.ok()) {
    if (hello.status().code() == Code::kCancelled) return hello.status();
    session->monitor.Wait(1000);
    const std::string said = Tail(error_read.get());
    return Error(Code::kUnavailable,
                 "cannot open a sandbox: " + (said.empty() ? hello.status().message() : said) +
                     "; `taskmint doctor` says what this machine lacks");
  }
  if (WireReader(*hello).op() != Op::kHello || session->channel->peer_pid() <= 0) {
    return Error(Code::kUnavailable, "cannot open a sandbox: its agent sent nonsense");
  }
  session->init.reset(
      static_cast<int>(::syscall(SYS_pidfd_open, session->channel->peer_pid(), 0U)));
  return session;
}

}  // namespace taskmint::sandbox
