#include "sandbox/sandbox.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>

#include "sandbox/agent_sandbox.h"
#include "sandbox/bubblewrap.h"

namespace taskmint::sandbox {
namespace {

class BubblewrapHost final : public SandboxHost {
 public:
  explicit BubblewrapHost(std::shared_ptr<const HostParts> parts) : parts_(std::move(parts)) {}

  Result<std::unique_ptr<Sandbox>> Open(const SandboxSpec& spec, std::stop_token stop) override {
    TASKMINT_ASSIGN_OR_RETURN(std::shared_ptr<Session> session,
                              OpenSession(*parts_, spec, std::move(stop)));
    return std::unique_ptr<Sandbox>(std::make_unique<AgentSandbox>(std::move(session), spec));
  }

  std::vector<std::string> MissingWalls() const override {
    std::vector<std::string> missing;
    if (!parts_->abilities.own_proc) missing.emplace_back("own /proc");
    return missing;
  }

 private:
  std::shared_ptr<const HostParts> parts_;
};

}  // namespace

std::string_view EndingName(Ending ending) {
  switch (ending) {
    case Ending::kExited:
      return "exited";
    case Ending::kSignalled:
      return "signalled";
    case Ending::kWallTime:
      return "wall-time";
    case Ending::kCpuTime:
      return "cpu-time";
    case Ending::kOutput:
      return "output";
    case Ending::kMemory:
      return "memory";
    case Ending::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view CauseOf(const CommandResult& result) {
  const bool by_itself = result.ending == Ending::kExited || result.ending == Ending::kSignalled;
  if (by_itself && result.hit_disk_max) return "disk";
  const bool failed = result.ending == Ending::kSignalled || result.exit_code != 0;
  if (by_itself && failed && result.hit_memory_max) return "memory";
  if (by_itself && failed && result.hit_processes_max) return "processes";
  return EndingName(result.ending);
}

std::vector<std::string> SandboxSpec::DefaultMaskedPaths() {
  // What was put there by hand; sources; the wheels of pip and virtualenv; applications of pipx.
  std::vector<std::string> paths = {"/usr/local", "/usr/src", "/usr/share/python-wheels",
                                    "/usr/share/pipx"};
  // Packages of every Python of the host.
  if (DIR* stream = ::opendir("/usr/lib")) {
    while (const dirent* entry = ::readdir(stream)) {
      const std::string name = entry->d_name;
      if (!name.starts_with("python") && !name.starts_with("pypy")) continue;
      for (const char* folder : {"dist-packages", "site-packages", "ensurepip/_bundled"}) {
        paths.push_back("/usr/lib/" + name + "/" + folder);
      }
    }
    ::closedir(stream);
  }
  std::sort(paths.begin(), paths.end());  // they are part of a task's id
  return paths;
}

Result<std::unique_ptr<SandboxHost>> MakeBubblewrapHost(const HostOptions& options) {
  return MakeHostWithWalls({}, options.weak);
}

Result<std::unique_ptr<SandboxHost>> MakeHostWithWalls(const Walls& walls, bool weak) {
  TASKMINT_ASSIGN_OR_RETURN(std::shared_ptr<const HostParts> parts, MakeHostParts(walls, weak));
  return std::unique_ptr<SandboxHost>(std::make_unique<BubblewrapHost>(std::move(parts)));
}

}  // namespace taskmint::sandbox
