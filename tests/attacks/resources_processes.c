// Processes and threads without end.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

// At once, since thousands that wake up now and then are an attack of another kind.
static void SleepToTheEnd(void) {
  const double seconds = kSecondsMax - SecondsPassed();
  if (seconds > 0) SleepMs((long)(seconds * 1000) + 1);
}

static void ForkUntilRefused(void) {
  for (int count = 0; count < kProcessesMax; ++count) {
    const pid_t child = fork();
    if (child == 0) {
      SleepToTheEnd();
      _exit(0);
    }
    if (child < 0) {
      char what[64];
      snprintf(what, sizeof what, "process %d", count + 1);
      Refused(what, errno);
      return;
    }
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%d processes at once", kProcessesMax);
}

// Every process forks on; a refused fork is tried again, so that only killing all of them at once
// ends it.
static void ForkWithoutEnd(void) {
  atomic_int* alive = SharedMemory(sizeof *alive);
  atomic_fetch_add(alive, 1);
  const pid_t first = getpid();
  while (TimeLeft()) {
    if (atomic_load(alive) > kProcessesMax) Through("%d processes at once", kProcessesMax);
    const pid_t child = fork();
    if (child == 0) atomic_fetch_add(alive, 1);
    if (child < 0) sched_yield();
  }
  if (getpid() == first) NothingEndedIt();
}

// Each one moves to a session and group of its own and its parent dies: killing by group or by
// descent misses it.
static void ForkIntoNewSessions(void) {
  atomic_int* started = SharedMemory(sizeof *started);
  signal(SIGCHLD, SIG_IGN);
  for (int branch = 0; branch < 8; ++branch) {
    if (fork() != 0) continue;
    while (TimeLeft()) {
      setsid();
      if (atomic_fetch_add(started, 1) > 1000000) _exit(0);
      const pid_t child = fork();
      if (child > 0) _exit(0);
      if (child < 0) sched_yield();
    }
    _exit(0);
  }
  SleepToTheEnd();
  NothingEndedIt();
}

static void* SleepInThread(void* unused) {
  (void)unused;
  SleepToTheEnd();
  return NULL;
}

static void ThreadUntilRefused(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  for (int count = 0; count < kProcessesMax; ++count) {
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, SleepInThread, NULL);
    if (error != 0) {
      char what[64];
      snprintf(what, sizeof what, "thread %d", count + 1);
      Refused(what, error);
      return;
    }
  }
  Through("%d threads at once", kProcessesMax);
}

static int SleepInClone(void* unused) {
  (void)unused;
  SleepToTheEnd();
  return 0;
}

// Neither fork nor a thread: memory, files and the parent's parent are shared.
static void CloneUntilRefused(void) {
  const size_t stack_bytes = 16384;
  for (int count = 0; count < kProcessesMax; ++count) {
    char* stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
      Refused("stack of a clone", errno);
      return;
    }
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_PARENT;
    if (clone(SleepInClone, stack + stack_bytes, flags | SIGCHLD, NULL) < 0) {
      char what[64];
      snprintf(what, sizeof what, "clone %d", count + 1);
      Refused(what, errno);
      return;
    }
  }
  Through("%d clones at once", kProcessesMax);
}

// Dead children that nobody waits for keep their numbers.
static void ZombiesUntilRefused(void) {
  for (int count = 0; count < kProcessesMax; ++count) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    if (child < 0) {
      char what[64];
      snprintf(what, sizeof what, "zombie %d", count + 1);
      Refused(what, errno);
      return;
    }
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%d zombies at once", kProcessesMax);
}

// Zombies whose parent is PID 1.
static int OrphanZombies(void) {
  char path[64];
  char text[1024];
  int zombies = 0;
  const int last = getpid() + 5000;
  for (int pid = 2; pid < last; ++pid) {
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (ReadText(path, text, sizeof text) < 0) continue;
    const char* behind_name = strrchr(text, ')');
    char state;
    int parent;
    if (behind_name == NULL || sscanf(behind_name + 1, " %c %d", &state, &parent) != 2) continue;
    if (state == 'Z' && parent == 1) ++zombies;
  }
  return zombies;
}

static void OrphanTheDead(void) {
  const int orphans = 1000;
  for (int count = 0; count < orphans && TimeLeft(); ++count) {
    const pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) _exit(0);
      _exit(0);
    }
    if (child < 0) SleepMs(5);  // the limit: PID 1 has not caught up yet
    if (child > 0) waitpid(child, NULL, 0);
  }
  for (int tries = 0; tries < 20; ++tries) {
    if (OrphanZombies() == 0) {
      RefusedBy("orphaned zombies that stay", "PID 1 reaps");
      return;
    }
    SleepMs(200);
  }
  Through("%d orphaned zombies stay", OrphanZombies());
}

// The child of a vfork holds its parent, deaf to everything but SIGKILL.
static void HoldInVfork(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  const size_t stack_bytes = 65536;
  char* stack = SharedMemory(stack_bytes);
  if (clone(SleepInClone, stack + stack_bytes, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) < 0) {
    Refused("vfork", errno);
    return;
  }
  NothingEndedIt();
}

// Better scheduling than the bystander's.
static void RaisePriority(void) {
  const struct sched_param realtime = {1};
  MustFail("real-time scheduling (FIFO)", sched_setscheduler(0, SCHED_FIFO, &realtime));
  MustFail("real-time scheduling (round robin)", sched_setscheduler(0, SCHED_RR, &realtime));
  errno = 0;
  if (nice(-1) != -1 || errno == 0) Through("a nice value below 0");
  Refused("a nice value below 0", errno);
}

const struct Attack kProcessAttacks[] = {
    {"fork_bomb", ForkUntilRefused},
    {"fork_bomb_without_end", ForkWithoutEnd},
    {"fork_into_new_sessions", ForkIntoNewSessions},
    {"thread_bomb", ThreadUntilRefused},
    {"clone_bomb", CloneUntilRefused},
    {"zombies", ZombiesUntilRefused},
    {"orphaned_zombies", OrphanTheDead},
    {"vfork_hold", HoldInVfork},
    {"raise_priority", RaisePriority},
    {NULL, NULL},
};
