// Users and user namespaces of what is started.
#ifndef TASKMINT_SANDBOX_AGENT_USERS_H_
#define TASKMINT_SANDBOX_AGENT_USERS_H_

#include <sys/types.h>

#include <string>

namespace taskmint::sandbox {

// Becomes the user, with no other groups; nothing for 0, and for who is that user. 0, or 1 with a
// line on standard error.
int DropUser(uid_t uid);

// Writes a small file of /proc; false with errno set.
bool WriteText(const char* path, const std::string& text);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_USERS_H_
