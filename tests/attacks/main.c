#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "attack.h"

static const struct Attack* const kTables[] = {
    kProcessAttacks,   kMemoryAttacks,    kBufferAttacks,   kFileAttacks,      kTimeAttacks,
    kObjectAttacks,    kLifetimeAttacks,  kKernelAttacks,   kMachineAttacks,   kPeerAttacks,
    kNamespaceAttacks, kMountAttacks,     kProcAttacks,     kNetworkAttacks,   kSocketAttacks,
    kIdentityAttacks,  kInheritedAttacks, kArtefactAttacks, kIntegrityAttacks,
};

// Should the clock of a loop fail, the kernel ends the process.
static void BoundOwnCpu(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_CPU, &limit) != 0) return;
  const rlim_t bound = kSecondsMax + 10;
  if (limit.rlim_max <= bound) return;
  limit.rlim_max = bound;
  if (limit.rlim_cur > bound) limit.rlim_cur = bound;
  setrlimit(RLIMIT_CPU, &limit);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: attacks NAME | --list\n");
    return 2;
  }
  const bool list = strcmp(argv[1], "--list") == 0;
  for (size_t table = 0; table < sizeof kTables / sizeof kTables[0]; ++table) {
    for (const struct Attack* attack = kTables[table]; attack->name != NULL; ++attack) {
      if (list) {
        puts(attack->name);
      } else if (strcmp(attack->name, argv[1]) == 0) {
        TimeLeft();  // starts the clock
        BoundOwnCpu();
        attack->run();
        return 0;
      }
    }
  }
  if (list) return 0;
  fprintf(stderr, "no attack is called %s\n", argv[1]);
  return 2;
}
