// Landlock: a second wall behind the read-only mounts.
#ifndef TASKMINT_SANDBOX_AGENT_FILE_RULES_H_
#define TASKMINT_SANDBOX_AGENT_FILE_RULES_H_

#include <string>
#include <vector>

namespace taskmint::sandbox {

// From now on this thread and all that it starts write, create and remove nothing but below the
// `writable` folders and files, make no device anywhere, mount nothing, and reach no abstract
// socket and no process of others; what may be read or run stays as it is. What is absent of
// `writable` is ignored. Needs no_new_privs. False where the kernel has no Landlock, or refuses:
// then nothing is changed. Source: the kernel's userspace-api/landlock; of its versions 2 to 6,
// what the kernel has.
bool RestrictFiles(const std::vector<std::string>& writable);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_FILE_RULES_H_
