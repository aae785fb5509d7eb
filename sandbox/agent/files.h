// The agent's file operations. No symbolic link is ever followed: every step is openat(2) with
// O_NOFOLLOW from a folder that is held open.
#ifndef TASKMINT_SANDBOX_AGENT_FILES_H_
#define TASKMINT_SANDBOX_AGENT_FILES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/wire.h"

namespace taskmint::sandbox {

// Sends one frame to the host; false when it is gone.
using SendFrame = std::function<bool(const WireWriter&)>;

// Each returns 0 or an errno. EOVERFLOW stands for a limit of the caller's.

// Takes folder, modified_s and file parts from `reader`; makes folders, replaces what is in the
// way.
int PutFiles(WireReader& reader);
// What is absent, or behind a link, is fine.
int RemovePath(std::string_view path);
// Makes the folder if need be, replacing what is in the way, and empties it. Other file systems
// mounted below are left alone.
int ClearFolder(std::string_view path);
// Sends kData frames. EISDIR or ELOOP for what is no regular file.
int GetFile(std::string_view path, uint64_t bytes_max, const SendFrame& send);
// Sends kFiles frames. Does not cross into other file systems.
int CollectFiles(std::string_view path, uint64_t files_max, uint64_t bytes_max,
                 const SendFrame& send);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_FILES_H_
