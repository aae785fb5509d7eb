// Folders held by descriptor: opening, listing, emptying. No symbolic link is ever followed.
#ifndef TASKMINT_SANDBOX_AGENT_FOLDERS_H_
#define TASKMINT_SANDBOX_AGENT_FOLDERS_H_

#include <fcntl.h>

#include <functional>

#include "sandbox/fd.h"

namespace taskmint::sandbox {

inline constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// A folder that its owner closed to us is opened up: we are the owner. Invalid with errno set.
UniqueFd OpenFolder(int parent, const char* name);

// Calls `visit` with every name in the folder until it returns an errno, which is returned.
int ForEachName(int folder, const std::function<int(const char*)>& visit);

// Empties a folder, however deep and whatever its modes; stops at other file systems. 0 or an
// errno; ETIMEDOUT when it fills faster than it empties.
int EmptyFolder(int folder);

// Removes what bears `name` in `folder`, whatever it is. 0, also when absent, or an errno.
int RemoveAt(int folder, const char* name);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_FOLDERS_H_
