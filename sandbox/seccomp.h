// The system call filter of every sandbox.
#ifndef TASKMINT_SANDBOX_SECCOMP_H_
#define TASKMINT_SANDBOX_SECCOMP_H_

#include "proto/base/status.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

// A BPF program for `bwrap --seccomp`, in a sealed memory file. Denied calls return EPERM; clone3
// and io_uring ENOSYS, so that C libraries take their other path; calls of a foreign ABI kill the
// process. UNAVAILABLE (sandbox) when libseccomp fails.
Result<UniqueFd> MakeSeccompFilter();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_SECCOMP_H_
