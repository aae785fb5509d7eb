#include "sandbox/abilities.h"

#include <unistd.h>

#include <vector>

#include "sandbox/bubblewrap.h"
#include "sandbox/process.h"

namespace taskmint::sandbox {
namespace {

using Options = std::vector<std::string>;

constexpr int64_t kTrialMsMax = 10'000;

class Trial {
 public:
  Trial(const std::string& bwrap_path, const UniqueFd& agent)
      : bwrap_path_(bwrap_path), agent_(agent), slot_(Slot::Take()) {}

  // Whether a sandbox with these options of bubblewrap opens, behind a launcher that mounts where
  // `stages`.
  bool Opens(bool stages, const Options& options) const {
    Options command = {bwrap_path_, "--unshare-user", "--unshare-all", "--uid",     "1000", "--gid",
                       "1000",      "--cap-drop",     "ALL",           "--ro-bind", "/",    "/"};
    command.insert(command.end(), options.begin(), options.end());
    return Succeeds(stages, command);
  }

  // Whether our launcher mounts.
  bool Stages() const { return Succeeds(true, {}); }

 private:
  bool Succeeds(bool stages, const Options& command) const {
    SpawnRequest request;
    request.program = "/proc/self/fd/" + std::to_string(agent_.get());
    request.arguments = {"launch", "--parent", std::to_string(::getpid())};
    Options& arguments = request.arguments;
    if (slot_.ok() && slot_->uid() != 0) {
      arguments.insert(arguments.end(), {"--uid", std::to_string(slot_->uid())});
    }
    if (stages) {
      arguments.insert(arguments.end(), {"--stage-tmpfs", "size=64k,nr_inodes=10,mode=755"});
    }
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command.begin(), command.end());
    arguments.emplace_back("/usr/bin/true");
    Result<ChildProcess> child = Spawn(request);
    return child.ok() && child->Wait(kTrialMsMax) && child->status() == 0;
  }

  const std::string& bwrap_path_;
  const UniqueFd& agent_;
  const Result<Slot> slot_;
};

}  // namespace

Abilities FindAbilities(const std::string& bwrap_path, const UniqueFd& agent,
                        bool has_disable_userns) {
  const Trial trial(bwrap_path, agent);
  const Options own_proc = {"--proc", "/proc"};
  const Options host_name = {"--hostname", "taskmint"};
  const Options disable_userns = has_disable_userns ? Options{"--disable-userns"} : Options();
  Options all = own_proc;
  all.insert(all.end(), host_name.begin(), host_name.end());
  all.insert(all.end(), disable_userns.begin(), disable_userns.end());
  Abilities abilities;
  abilities.disable_userns = has_disable_userns;
  // Once more, lest a busy machine takes a wall from all sandboxes of this process.
  if (trial.Opens(true, all) || trial.Opens(true, all)) return abilities;
  abilities.stage = trial.Stages() || trial.Stages();
  if (trial.Opens(false, all) || !trial.Opens(false, {})) return abilities;
  abilities.own_proc = trial.Opens(false, own_proc) || trial.Opens(false, own_proc);
  abilities.host_name = trial.Opens(false, host_name);
  abilities.disable_userns = has_disable_userns && trial.Opens(false, disable_userns);
  return abilities;
}

}  // namespace taskmint::sandbox
