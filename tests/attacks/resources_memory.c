// Memory in its many forms, each charged to the sandbox or not at all.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static const size_t kStepBytes = (size_t)16 << 20;

// Fresh pages, each touched. False when there are none.
static bool Take(size_t bytes) {
  char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
  return true;
}

static void Hog(void) {
  for (size_t taken = 0; taken < ATTACK_MEMORY_BYTES_MAX; taken += kStepBytes) {
    if (!Take(kStepBytes)) {
      Refused("more memory", errno);
      return;
    }
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%zu bytes of memory", ATTACK_MEMORY_BYTES_MAX);
}

// Each process alone stays small.
static void HogInFamily(void) {
  enum { kChildren = 32 };
  const size_t share = ATTACK_MEMORY_BYTES_MAX / kChildren;
  atomic_int* full = SharedMemory(2 * sizeof *full);
  atomic_int* stopped = full + 1;
  int started = 0;
  for (; started < kChildren; ++started) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child > 0) continue;
    for (size_t taken = 0; taken < share && atomic_load(stopped) == 0; taken += kStepBytes) {
      if (!Take(kStepBytes)) atomic_store(stopped, ENOMEM);
    }
    if (atomic_load(stopped) == 0) atomic_fetch_add(full, 1);
    // Held until all are full.
    while (TimeLeft() && atomic_load(stopped) == 0) SleepMs(20);
    _exit(0);
  }
  int status = 0;
  while (TimeLeft() && atomic_load(stopped) == 0 && atomic_load(full) < kChildren) {
    if (waitpid(-1, &status, WNOHANG) > 0 && WIFSIGNALED(status)) break;
    SleepMs(20);
  }
  if (atomic_load(full) == kChildren) Through("%zu bytes in a family", ATTACK_MEMORY_BYTES_MAX);
  char what[96];
  snprintf(what, sizeof what, "memory of all of %d children", kChildren);
  RefusedBy(what, WIFSIGNALED(status) ? "SIGKILL" : started < kChildren ? "EAGAIN" : "ENOMEM");
  atomic_store(stopped, EAGAIN);
}

// Files without a name, on no file system with a size limit.
static void HogMemoryFiles(void) {
  signal(SIGXFSZ, SIG_IGN);
  static char block[1 << 20];
  memset(block, 'm', sizeof block);
  size_t written = 0;
  while (written < ATTACK_MEMORY_BYTES_MAX) {
    const int file = memfd_create("hog", MFD_CLOEXEC);
    if (file < 0) {
      Refused("another memory file", errno);
      return;
    }
    for (int megabytes = 0; megabytes < 64; ++megabytes) {
      const ssize_t size = write(file, block, sizeof block);
      if (size <= 0) {
        Refused("bytes of a memory file", errno);
        return;
      }
      written += (size_t)size;
    }
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%zu bytes in memory files", written);
}

// One touched page in 2 MiB costs a page table of 4 KiB, and the zero page nothing: little is
// resident, much is used.
static void HogPageTables(void) {
  const size_t span = (size_t)1 << 30;
  const size_t region = (size_t)2 << 20;
  volatile char sink = 0;
  for (size_t tables = 0; tables < ATTACK_MEMORY_BYTES_MAX; tables += span / region * 4096) {
    char* memory = mmap(NULL, span, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      Refused("more address space", errno);
      return;
    }
    madvise(memory, span, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < span; at += region) sink = (char)(sink + memory[at]);
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%zu bytes of page tables", ATTACK_MEMORY_BYTES_MAX);
}

// Stays after its processes are dead, until the namespace is.
static void HogSharedSegments(void) {
  size_t taken = 0;
  while (taken < ATTACK_MEMORY_BYTES_MAX) {
    const int segment = shmget(IPC_PRIVATE, kStepBytes, IPC_CREAT | 0600);
    if (segment < 0) {
      Refused("another shared segment", errno);
      return;
    }
    char* memory = shmat(segment, NULL, 0);
    if (memory == (void*)-1) {
      Refused("attaching a shared segment", errno);
      return;
    }
    memset(memory, 1, kStepBytes);
    shmdt(memory);
    taken += kStepBytes;
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%zu bytes in shared segments", taken);
}

// What cannot be swapped out, beyond the limit of locked memory.
static void LockMemory(void) {
  size_t locked = 0;
  const size_t locked_max = (size_t)1 << 30;
  while (locked < locked_max) {
    void* memory =
        mmap(NULL, kStepBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mlock(memory, kStepBytes) != 0) {
      Refused("more locked memory", errno);
      return;
    }
    locked += kStepBytes;
  }
  Through("%zu bytes of locked memory", locked);
}

// When memory runs out, another is to die.
static void HideFromTheKiller(void) {
  const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) {
    Refused("open oom_score_adj", errno);
    return;
  }
  MustFail("oom_score_adj -1000", write(file, "-1000", 5));
  MustFail("oom_score_adj -1", write(file, "-1", 2));
  close(file);
  const int agent = open("/proc/1/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (agent < 0)
    Refused("oom_score_adj of PID 1", errno);
  else
    MustFail("oom_score_adj of PID 1", write(agent, "1000", 4));
}

const struct Attack kMemoryAttacks[] = {
    {"memory_hog", Hog},
    {"memory_hog_family", HogInFamily},
    {"memfd_hog", HogMemoryFiles},
    {"page_table_hog", HogPageTables},
    {"sysv_shm_hog", HogSharedSegments},
    {"locked_memory", LockMemory},
    {"oom_hide", HideFromTheKiller},
    {NULL, NULL},
};
