// A folder of the host as a tree: its digest, and a copy of it.
#ifndef TASKMINT_SANDBOX_FOLDER_COPY_H_
#define TASKMINT_SANDBOX_FOLDER_COPY_H_

#include <set>
#include <stop_token>
#include <string>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::sandbox {

struct FolderReading {
  // Names directly in the folder that are left out.
  std::set<std::string, std::less<>> left_out;
  // Device nodes, sockets and FIFOs are left out; else they are refused.
  bool special_files_left_out = false;
  std::stop_token stop;
};

// TreeDigest of the files below a folder, folders without files being Directory records without
// entries: permissions but the owner's to execute, owners, times, hard links and extended
// attributes do not count. No link is followed. `folder` is a descriptor. Errors: INVALID_ARGUMENT
// for what cannot be read, a special file, more than 256 levels or 4 million names; CANCELLED.
// Memory: a folder's names at a time; each file is read once.
Result<std::string> DigestFolder(int folder, const FolderReading& reading);

// The same of what it wrote into the empty folder `into` meanwhile: modes 0755 and 0644, times 0,
// our user's. RESOURCE_EXHAUSTED (sandbox) when that file system is full.
Result<std::string> CopyFolder(int folder, int into, const FolderReading& reading);

// Writes a tree likewise. INVALID_ARGUMENT for a file that lies below another.
Status WriteTree(const FileTree& tree, int into, const std::stop_token& stop);

// Removes a folder with everything below; what is absent is fine.
void RemoveFolder(const std::string& path);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_FOLDER_COPY_H_
