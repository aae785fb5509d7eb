#include "sandbox/erofs_image.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>

#include "sandbox/fd.h"
#include "sandbox/process.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kMakeMsMax = 3'600'000;
constexpr char kUuid[] = "00000000-0000-4000-8000-000000000000";

}  // namespace

std::string FindMkfsErofs() {
  for (const char* path : {"/usr/bin/mkfs.erofs", "/usr/sbin/mkfs.erofs", "/sbin/mkfs.erofs",
                           "/usr/local/bin/mkfs.erofs", "/usr/local/sbin/mkfs.erofs"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return {};
}

Status MakeErofsImage(const std::string& mkfs_path, const std::string& folder,
                      const std::string& image) {
  return OutputOf({mkfs_path, "--quiet", "-x-1", "-T0", "-U", kUuid, "--force-uid=0",
                   "--force-gid=0", image, folder},
                  kMakeMsMax)
      .status();
}

bool MountsFromFile(const std::string& image) {
  // By descriptor: a path may be longer than what fsconfig(2) takes.
  const UniqueFd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string source = "/proc/self/fd/" + std::to_string(file.get());
  const UniqueFd context(::fsopen("erofs", FSOPEN_CLOEXEC));
  if (!file.valid() || !context.valid() ||
      ::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", source.c_str(), 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return false;
  }
  return UniqueFd(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY)).valid();
}

}  // namespace taskmint::sandbox
