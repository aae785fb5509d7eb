#include "sandbox/agent/mounts.h"

#include <mntent.h>

#include <array>
#include <memory>

namespace taskmint::sandbox {

std::vector<WritableMount> WritableMounts() {
  std::vector<WritableMount> mounts;
  const std::unique_ptr<FILE, int (*)(FILE*)> table(setmntent("/proc/self/mounts", "re"),
                                                    endmntent);
  if (table == nullptr) return mounts;
  mntent entry;
  std::array<char, 16'384> line;
  while (getmntent_r(table.get(), &entry, line.data(), static_cast<int>(line.size())) != nullptr) {
    if (hasmntopt(&entry, "ro") == nullptr) mounts.push_back({entry.mnt_dir, entry.mnt_type});
  }
  return mounts;
}

}  // namespace taskmint::sandbox
