// Landlock: a second wall behind namespaces, capabilities and the filter of system calls.
#ifndef TASKMINT_SANDBOX_AGENT_SECOND_WALL_H_
#define TASKMINT_SANDBOX_AGENT_SECOND_WALL_H_

namespace taskmint::sandbox {

// From now on this thread and all that it starts change no mount, make no device, look into no
// process of others (ptrace, and what /proc guards as that does), and reach no signal and no
// abstract socket of theirs. What may be read and written stays with the mounts: for a rule on
// those the kernel walks from each file up to the root, so that a deep tree would cost the square
// of its depth. Needs no_new_privs. False where the kernel has no Landlock, or refuses: then
// nothing is changed. Source: the kernel's userspace-api/landlock; of its versions 2 to 6, what the
// kernel has.
bool RaiseSecondWall();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_SECOND_WALL_H_
