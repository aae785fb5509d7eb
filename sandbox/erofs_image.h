// Read-only file system images (EROFS), mounted from the file that they are.
#ifndef TASKMINT_SANDBOX_EROFS_IMAGE_H_
#define TASKMINT_SANDBOX_EROFS_IMAGE_H_

#include <string>

#include "proto/base/status.h"

namespace taskmint::sandbox {

// Where mkfs.erofs is; empty when it is nowhere.
std::string FindMkfsErofs();

// Makes `image` of the folder `folder`, whose files get owner 0 and time 0, uncompressed: equal
// folders make equal bytes with one release of the tool. UNAVAILABLE (sandbox) when it fails.
Status MakeErofsImage(const std::string& mkfs_path, const std::string& folder,
                      const std::string& image);

// Whether the kernel mounts this image from its file: Linux 6.12 and later, for root, and on most
// file systems. Nothing stays mounted. Cost: a fraction of a millisecond.
bool MountsFromFile(const std::string& image);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_EROFS_IMAGE_H_
