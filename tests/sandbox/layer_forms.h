// The forms that layers have on disk.
#ifndef TASKMINT_TESTS_SANDBOX_LAYER_FORMS_H_
#define TASKMINT_TESTS_SANDBOX_LAYER_FORMS_H_

#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "sandbox/layer_store.h"

namespace taskmint::sandbox {

struct LayerForm {
  const char* name;
  bool images;

  // TASKMINT_TEST_MKFS_EROFS names one that is not installed.
  static std::string MkfsPath() {
    const char* path = std::getenv("TASKMINT_TEST_MKFS_EROFS");
    return path != nullptr && path[0] != '\0' ? path : LayerStoreOptions::DefaultMkfsPath();
  }
  LayerStoreOptions options() const { return {images, MkfsPath()}; }
  // Whether this machine makes and mounts them. Only root does images.
  bool works() const { return !images || (::geteuid() == 0 && !MkfsPath().empty() && Mounts()); }

 private:
  static bool Mounts();
};

inline void PrintTo(const LayerForm& form, std::ostream* stream) { *stream << form.name; }

// Since 6.12, but for files in memory; a kernel that has it must not fall back silently.
inline bool LayerForm::Mounts() {
  static const bool mounts = [] {
    struct statfs system;
    const std::string folder = std::filesystem::temp_directory_path();
    if (::statfs(folder.c_str(), &system) == 0 && system.f_type == TMPFS_MAGIC) return false;
    FILE* release = std::fopen("/proc/sys/kernel/osrelease", "re");
    int major = 0, minor = 0;
    const bool read = release != nullptr && std::fscanf(release, "%d.%d", &major, &minor) == 2;
    if (release != nullptr) std::fclose(release);
    return read && (major > 6 || (major == 6 && minor >= 12));
  }();
  return mounts;
}

// Those that this machine makes and mounts.
inline std::vector<LayerForm> LayerForms() {
  std::vector<LayerForm> forms = {{"folder", false}};
  if (const LayerForm image{"image", true}; image.works()) forms.push_back(image);
  return forms;
}

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_LAYER_FORMS_H_
