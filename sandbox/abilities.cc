#include "sandbox/abilities.h"

#include <unistd.h>

#include <vector>

#include "sandbox/agent/staging.h"
#include "sandbox/bubblewrap.h"
#include "sandbox/process.h"

namespace taskmint::sandbox {
namespace {

using Options = std::vector<std::string>;

constexpr int64_t kTrialMsMax = 10'000;

class Trial {
 public:
  Trial(const std::string& bwrap_path, const UniqueFd& agent, const StagingNamespace* staging)
      : bwrap_path_(bwrap_path), agent_(agent), staging_(staging), slot_(Slot::Take()) {}

  // Whether a sandbox with these options of bubblewrap opens, behind a launcher that builds its
  // root where `staged`.
  bool Opens(bool staged, const Options& options) const {
    if (staged && staging_ == nullptr) return false;
    const std::string root = staged ? kStagedRoot : "/";
    SpawnRequest request;
    request.program = "/proc/self/fd/" + std::to_string(agent_.get());
    request.arguments = {"launch", "--parent", std::to_string(::getpid())};
    Options& arguments = request.arguments;
    if (slot_.ok() && slot_->uid() != 0) {
      arguments.insert(arguments.end(), {"--uid", std::to_string(slot_->uid())});
    }
    if (staged) {
      arguments.insert(arguments.end(), {"--staging", std::to_string(staging_->mounts())});
      request.kept_fds.push_back(staging_->mounts());
      if (staging_->owner() >= 0) {
        arguments.insert(arguments.end(), {"--owner", std::to_string(staging_->owner())});
        request.kept_fds.push_back(staging_->owner());
      }
      for (const char* path : {"/usr", "/bin", "/lib", "/lib64"}) {
        if (::access(path, F_OK) != 0) continue;
        arguments.insert(arguments.end(), {"--source", path, "--staged", path});
      }
      // With all that a sandbox may ask for.
      arguments.insert(arguments.end(),
                       {"--folder", "/proc", "--shared-memory", "size=65536,nr_inodes=10,mode=1777",
                        "--source", "/usr", "--show", "/shown"});
    }
    arguments.insert(arguments.end(), {"--", bwrap_path_, "--unshare-user", "--unshare-all",
                                       "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL",
                                       staged ? "--dev-bind" : "--ro-bind", root, "/"});
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"/usr/bin/test", "-c", "/dev/null"});
    Result<ChildProcess> child = Spawn(request);
    return child.ok() && child->Wait(kTrialMsMax) && child->status() == 0;
  }

 private:
  const std::string& bwrap_path_;
  const UniqueFd& agent_;
  const StagingNamespace* const staging_;
  const Result<Slot> slot_;
};

}  // namespace

Abilities FindAbilities(const std::string& bwrap_path, const UniqueFd& agent,
                        const StagingNamespace* staging, bool has_disable_userns) {
  const Trial trial(bwrap_path, agent, staging);
  const Options own_proc = {"--proc", "/proc"};
  const Options host_name = {"--hostname", "taskmint"};
  const Options disable_userns = has_disable_userns ? Options{"--disable-userns"} : Options();
  Options all = own_proc;
  all.insert(all.end(), host_name.begin(), host_name.end());
  all.insert(all.end(), disable_userns.begin(), disable_userns.end());
  Abilities abilities;
  abilities.disable_userns = has_disable_userns;
  abilities.map_owners = ::geteuid() != 0 || (staging != nullptr && staging->owner() < 0);
  // Once more, lest a busy machine takes a wall from all sandboxes of this process.
  if (trial.Opens(true, all) || trial.Opens(true, all)) return abilities;
  abilities.stage = trial.Opens(true, {}) || trial.Opens(true, {});
  if (!abilities.stage) abilities.stage_refusal = "bubblewrap binds nothing that we mount";
  const bool staged = abilities.stage;
  if (trial.Opens(staged, all) || !trial.Opens(staged, {})) return abilities;
  abilities.own_proc = trial.Opens(staged, own_proc) || trial.Opens(staged, own_proc);
  abilities.host_name = trial.Opens(staged, host_name);
  abilities.disable_userns = has_disable_userns && trial.Opens(staged, disable_userns);
  return abilities;
}

}  // namespace taskmint::sandbox
