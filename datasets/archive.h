// Trees as .tar.gz archives: written the same way each time, read with distrust.
#ifndef TASKMINT_DATASETS_ARCHIVE_H_
#define TASKMINT_DATASETS_ARCHIVE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::datasets {

// What an archive may hold.
struct ArchiveLimits {
  int64_t entries_max = 500'000;
  // Contents of all files, unpacked.
  uint64_t bytes_max = uint64_t{4} << 30;
  uint64_t file_bytes_max = uint64_t{1} << 30;
  size_t path_bytes_max = 4'000;
  // Bytes unpacked for each byte of the archive, once 64 MiB are.
  uint64_t ratio_max = 1'000;
};

// `tree` as a gzip-compressed tar archive (GNU format: names are any bytes of any length), sorted
// by path, owner 0, modes 0644 and 0755, one fixed time; the compressed stream names no file and no
// time. Equal trees give equal bytes. Folders have no entries of their own.
Result<std::string> WriteArchive(const FileTree& tree);

// A tar archive, gzip-compressed or not, as a tree. `name` stands at the head of messages.
// INVALID_ARGUMENT (config) says what is wrong: no archive, cut short, beyond a limit, a path that
// is absolute, leads out of the archive, stands twice, or lies below a file or a link; a device or
// another special file; a hard link to what the archive does not hold before it. Symbolic links are
// kept as written, and empty folders left out. Files of equal contents share them in memory.
Result<FileTree> ReadArchive(std::string_view bytes, const std::string& name,
                             const ArchiveLimits& limits = {});
// The same of a file on disk. NOT_FOUND and the like (config) where it cannot be read.
Result<FileTree> ReadArchiveFile(const std::string& path, const ArchiveLimits& limits = {});

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_ARCHIVE_H_
