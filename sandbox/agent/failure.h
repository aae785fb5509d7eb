// How this program says what failed.
#ifndef TASKMINT_SANDBOX_AGENT_FAILURE_H_
#define TASKMINT_SANDBOX_AGENT_FAILURE_H_

#include <string>

namespace taskmint::sandbox {

// Writes "what subject: errno" to standard error; 1.
int Fail(const char* what, const std::string& subject);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_FAILURE_H_
