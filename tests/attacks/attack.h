// What every attack program of the suite is made of. `attacks NAME` runs one inside a sandbox:
// it ends with 0 after a line "refused: WHAT (ERRNO)" for each attempt that was refused, with 42
// after "through: WHAT" once something that must not work did, or is killed by the limit it hits.
// "left: WHAT" says what was left behind for the host to judge.
#ifndef TASKMINT_TESTS_ATTACKS_ATTACK_H_
#define TASKMINT_TESTS_ATTACKS_ATTACK_H_

#include <stdbool.h>
#include <stddef.h>

enum {
  kThroughStatus = 42,
  // Every attack ends by itself, so that a wall that is off costs the machine little.
  kSecondsMax = 20,
  // More than any limit that the table sets.
  kProcessesMax = 4000,
  kFilesMax = 100000,
  // Kernel objects that are counted for the user, over all sandboxes.
  kUserObjectsMax = 30000,
};

// Bytes of memory, and of files and output, that an attack takes at most.
#define ATTACK_MEMORY_BYTES_MAX ((size_t)3 << 30)
#define ATTACK_FILE_BYTES_MAX ((size_t)1 << 30)

struct Attack {
  const char* name;
  // Returns when everything was refused.
  void (*run)(void);
};

// One table a source file, each ended by a null name.
extern const struct Attack kProcessAttacks[];
extern const struct Attack kMemoryAttacks[];
extern const struct Attack kBufferAttacks[];
extern const struct Attack kFileAttacks[];
extern const struct Attack kTimeAttacks[];
extern const struct Attack kObjectAttacks[];
extern const struct Attack kLifetimeAttacks[];
extern const struct Attack kKernelAttacks[];
extern const struct Attack kMachineAttacks[];
extern const struct Attack kPeerAttacks[];
extern const struct Attack kNamespaceAttacks[];
extern const struct Attack kMountAttacks[];
extern const struct Attack kProcAttacks[];
extern const struct Attack kNetworkAttacks[];
extern const struct Attack kSocketAttacks[];
extern const struct Attack kIdentityAttacks[];
extern const struct Attack kInheritedAttacks[];
extern const struct Attack kArtefactAttacks[];
extern const struct Attack kIntegrityAttacks[];

void Refused(const char* what, int error);
// Refused by something that has no errno, such as a signal.
void RefusedBy(const char* what, const char* how);
void Left(const char* what);
__attribute__((format(printf, 1, 2))) _Noreturn void Through(const char* format, ...);

// For a call that must not succeed: negative `result` and any errno is a refusal.
void MustFail(const char* what, long result);
// For a call that a wall must refuse before the kernel considers its arguments, which are nonsense
// here so that it does no harm: an errno that speaks of them is as bad as success.
void MustBeDenied(const char* what, long result);
// Opening `path` with `flags` must fail; /dev/null bound over it counts as a failure.
void MustNotOpen(const char* path, int flags);

// Runs `attempt` in a child; through when the child says so, refused by the signal that killed it.
void InChild(const char* what, void (*attempt)(void));
// Waits for all children; through when one of them says so. Returns how many died of SIGKILL.
int WaitForAll(void);

// Within kSecondsMax of the start of the program, which children inherit.
bool TimeLeft(void);
double SecondsPassed(void);
// Sleeps without being woken by signals.
void SleepMs(long ms);
// Through, since nothing ended the attack by kSecondsMax.
_Noreturn void NothingEndedIt(void);

// Memory that children share, zeroed. Ends the attack as refused when there is none.
void* SharedMemory(size_t bytes);

// Reads a whole small file as text; its size, or -1.
long ReadText(const char* path, char* text, size_t size);

#endif  // TASKMINT_TESTS_ATTACKS_ATTACK_H_
