// Where the roots of sandboxes are built: a mount namespace of few mounts (agent/staging.h).
#ifndef TASKMINT_SANDBOX_STAGING_NAMESPACE_H_
#define TASKMINT_SANDBOX_STAGING_NAMESPACE_H_

#include <memory>
#include <mutex>
#include <string>

#include "proto/base/status.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// Lives as long as this object, without a process in it. Immutable, thread-safe.
class StagingNamespace {
 public:
  // `agent` is our own program. UNAVAILABLE with what the kernel says where our launcher may not
  // mount: root without CAP_SYS_ADMIN and ordinary users need user namespaces for programs that no
  // profile of AppArmor names. Cost: about 5 ms.
  static Result<std::shared_ptr<const StagingNamespace>> Make(const UniqueFd& agent);

  // For the launcher.
  int mounts() const { return mounts_.get(); }
  // Of the user namespace that it belongs to; -1: ours.
  int owner() const { return owner_.get(); }

 private:
  StagingNamespace(UniqueFd mounts, UniqueFd owner)
      : mounts_(std::move(mounts)), owner_(std::move(owner)) {}

  const UniqueFd mounts_;
  const UniqueFd owner_;
};

// The staging namespace that shows this machine as it is: made again when the mounts that it shows,
// or the folders beside /usr, have changed since. Thread-safe.
class Staging {
 public:
  // As StagingNamespace::Make, tried twice. `agent` must outlive it.
  static Result<std::unique_ptr<Staging>> Make(const UniqueFd& agent);

  // The last one where none can be made now, which the next call tries again. Cost: about 20 us
  // where nothing has changed.
  std::shared_ptr<const StagingNamespace> Current();

 private:
  explicit Staging(const UniqueFd& agent) : agent_(agent) {}
  void LookForChanges();

  const UniqueFd& agent_;
  std::mutex mutex_;
  UniqueFd mount_table_;   // told of changes since it was last asked
  std::string tops_;       // what is beside /usr
  std::string mounts_;     // those that are shown
  bool is_stale_ = false;  // something has changed since `current_` was made
  std::shared_ptr<const StagingNamespace> current_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_STAGING_NAMESPACE_H_
