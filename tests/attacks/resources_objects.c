// Objects that outlive their processes, and limits that one command leaves to the next.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static const key_t kKey = 0x7a5c3117;

// What another sandbox left under the same key would be a channel between the two.
static void LeaveSysvObjects(void) {
  const int segment = shmget(kKey, 4096, 0);
  if (segment >= 0) {
    const char* text = shmat(segment, NULL, SHM_RDONLY);
    if (text != (void*)-1 && strcmp(text, "taskmint attack") == 0) {
      Through("a shared segment of an earlier run is here");
    }
  }
  for (int number = 0; number < 8; ++number) {
    const int made = shmget(kKey + number, 4096, IPC_CREAT | IPC_EXCL | 0666);
    if (made < 0) {
      Refused("a shared segment", errno);
      continue;
    }
    char* text = shmat(made, NULL, 0);
    if (text != (void*)-1) strcpy(text, "taskmint attack");
    if (semget(kKey + number, 4, IPC_CREAT | IPC_EXCL | 0666) < 0) Refused("semaphores", errno);
    const int queue = msgget(kKey + number, IPC_CREAT | IPC_EXCL | 0666);
    const struct {
      long type;
      char text[64];
    } message = {1, "taskmint attack"};
    if (queue < 0 || msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) != 0) {
      Refused("a message queue", errno);
    }
  }
  Left("8 shared segments, semaphore sets and message queues from key 0x7a5c3117 on");
}

static void LeavePosixObjects(void) {
  if (mq_open("/taskmint-attack", O_RDONLY) != (mqd_t)-1) {
    Through("a message queue of an earlier run is here");
  }
  for (int number = 0; number < 8; ++number) {
    char name[64];
    snprintf(name, sizeof name, number == 0 ? "/taskmint-attack" : "/taskmint-attack-%d", number);
    if (mq_open(name, O_CREAT | O_RDWR, 0666, NULL) == (mqd_t)-1) {
      Refused("a POSIX message queue", errno);
    }
    if (shm_open(name, O_CREAT | O_RDWR, 0666) < 0) Refused("POSIX shared memory", errno);
    if (sem_open(name, O_CREAT, 0666, 1) == SEM_FAILED) Refused("a POSIX semaphore", errno);
  }
  Left("8 POSIX queues, semaphores and shared memories called taskmint-attack");
}

// Message queues are counted in bytes for the user, over all sandboxes.
static void FloodQueues(void) {
  for (int count = 0; count < kFilesMax; ++count) {
    char name[64];
    snprintf(name, sizeof name, "/taskmint-flood-%d", count);
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    if (mq_open(name, O_CREAT | O_RDWR, 0600, &attributes) == (mqd_t)-1) {
      snprintf(name, sizeof name, "message queue %d", count + 1);
      Refused(name, errno);
      return;
    }
  }
  Through("%d message queues", kFilesMax);
}

static void FloodSemaphores(void) {
  for (int count = 0; count < kFilesMax; ++count) {
    if (semget(IPC_PRIVATE, 1000, IPC_CREAT | 0600) < 0) {
      char what[64];
      snprintf(what, sizeof what, "semaphore set %d", count + 1);
      Refused(what, errno);
      return;
    }
  }
  Through("%d semaphore sets", kFilesMax);
}

// A core dump would be written by the host's handler, with its rights.
static void DumpCore(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_CORE, &limit);
  const struct rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
  MustFail("an endless core limit", setrlimit(RLIMIT_CORE, &endless));
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_CORE, &limit);
  prctl(PR_SET_DUMPABLE, 1);
  const pid_t child = fork();
  if (child == 0) abort();
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) {
    Refused("a crash", errno);
    return;
  }
  if (WIFSIGNALED(status) && WCOREDUMP(status)) Through("a core dump");
  RefusedBy("a core dump", "RLIMIT_CORE");
}

static void Crash(void) {
  Left("a crash by SIGSEGV; no core file may follow");
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

// Ends by a signal that is no error of a program.
static void DieOfRealTimeSignal(void) {
  signal(SIGRTMIN + 3, SIG_DFL);
  raise(SIGRTMIN + 3);
}

static void Lower(int resource, rlim_t value) {
  const struct rlimit limit = {value, value};
  setrlimit((__rlimit_resource_t)resource, &limit);
}

static const int kResources[] = {RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_FSIZE,   RLIMIT_STACK,
                                 RLIMIT_DATA,   RLIMIT_AS,    RLIMIT_MEMLOCK, RLIMIT_SIGPENDING};

// Everything of its own is lowered as far as it goes; the next command must find nothing of it.
static void LeaveLowLimits(void) {
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  umask(0777);
  sched_setaffinity(0, sizeof first, &first);
  signal(SIGCHLD, SIG_IGN);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  setpriority(PRIO_PROCESS, 0, 19);
  Left("limits of its own at their lowest, umask 0777, nice 19, signals blocked");
  for (size_t index = 0; index < sizeof kResources / sizeof kResources[0]; ++index) {
    Lower(kResources[index], 1);
  }
  _exit(0);
}

// PID 1 starts the next command, which inherits its limits. What is set is what was read, which
// is as forbidden and does no harm.
static void LimitPidOne(void) {
  bool limited = false;
  for (size_t index = 0; index < sizeof kResources / sizeof kResources[0]; ++index) {
    struct rlimit before;
    if (prlimit(1, (__rlimit_resource_t)kResources[index], NULL, &before) == 0 &&
        prlimit(1, (__rlimit_resource_t)kResources[index], &before, NULL) == 0) {
      limited = true;
    }
  }
  MustFail("limits of PID 1", limited ? 0 : -1);
}

// As above, for what the scheduler keeps.
static void SchedulePidOne(void) {
  const int nice_value = getpriority(PRIO_PROCESS, 1);
  MustFail("nice value of PID 1", setpriority(PRIO_PROCESS, 1, nice_value));
  const pid_t group = getpgid(1);
  if (group > 0) {
    MustFail("nice value of PID 1's group",
             setpriority(PRIO_PGRP, (id_t)group, getpriority(PRIO_PGRP, (id_t)group)));
  }
  MustFail("nice value of all of the user",
           setpriority(PRIO_USER, getuid(), getpriority(PRIO_USER, getuid())));
  struct sched_param parameters = {0};
  MustFail("scheduling class of PID 1", sched_setscheduler(1, SCHED_OTHER, &parameters));
  cpu_set_t processors;
  if (sched_getaffinity(1, sizeof processors, &processors) == 0) {
    MustFail("processors of PID 1", sched_setaffinity(1, sizeof processors, &processors));
  }
  enum { kWhoProcess = 1, kBestEffort = 2 << 13 | 4 };
  MustFail("input and output class of PID 1", syscall(SYS_ioprio_set, kWhoProcess, 1, kBestEffort));
}

const struct Attack kObjectAttacks[] = {
    {"sysv_leftovers", LeaveSysvObjects},
    {"posix_leftovers", LeavePosixObjects},
    {"message_queue_flood", FloodQueues},
    {"semaphore_flood", FloodSemaphores},
    {"core_dump", DumpCore},
    {"crash", Crash},
    {"real_time_signal", DieOfRealTimeSignal},
    {"limits_leftover", LeaveLowLimits},
    {"pid_one_limits", LimitPidOne},
    {"pid_one_scheduling", SchedulePidOne},
    {NULL, NULL},
};
