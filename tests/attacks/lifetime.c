// Living longer than the command, and keeping others from ending or from going on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

// A daemon says so late: whoever still reads its pipe waited too long, or let it live.
static const int kDaemonSeconds = 15;

static void IgnoreHangup(void) {
  signal(SIGHUP, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
}

static void OutliveAndTell(void) {
  while (SecondsPassed() < kDaemonSeconds) SleepMs(100);
  Through("a process outlived its command by %d s", kDaemonSeconds);
}

// Forks twice with a session between, as daemons do; only the grandchild returns.
static bool BecomeDaemon(void) {
  const pid_t child = fork();
  if (child < 0) return false;
  if (child > 0) {
    waitpid(child, NULL, 0);
    return false;
  }
  setsid();
  if (fork() != 0) _exit(0);
  IgnoreHangup();
  return true;
}

static void DaemonHoldsOutput(void) {
  if (BecomeDaemon()) OutliveAndTell();
  Left("a daemon in a session of its own that holds stdout");
}

static void GrandchildKeepsPipe(void) {
  const pid_t child = fork();
  if (child == 0) {
    if (fork() != 0) _exit(0);
    OutliveAndTell();
  }
  waitpid(child, NULL, 0);
  Left("a grandchild that keeps the pipe");
}

// The pipe ends first and the process later: the end of output is not the end of the command.
static void CloseOutput(void) {
  Left("stdout and stderr closed 2 s before the end with status 7");
  const bool daemon = BecomeDaemon();
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
  if (!daemon) {
    SleepMs(2000);
    _exit(7);
  }
  while (TimeLeft()) SleepMs(100);
  _exit(0);
}

// Never has the same number for long: killing what a listing showed misses it.
static void DaemonChangesNumber(void) {
  if (!BecomeDaemon()) {
    Left("a daemon that forks on and on and ends its former self");
    return;
  }
  signal(SIGCHLD, SIG_IGN);
  while (SecondsPassed() < kDaemonSeconds) {
    if (fork() > 0) _exit(0);
    setsid();
  }
  OutliveAndTell();
}

// Many at once, each with a different way to look like nobody's.
static void LeaveManyOrphans(void) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int number = 0; number < 40; ++number) {
    const pid_t child = fork();
    if (child != 0) continue;
    if (number % 2 == 0) setsid();
    if (number % 3 == 0) prctl(PR_SET_NAME, "kworker/0:0");
    if (number % 5 == 0 && chdir("/tmp") != 0) _exit(0);
    if (number % 7 == 0 && fork() > 0) _exit(0);
    IgnoreHangup();
    OutliveAndTell();
  }
  Left("40 orphans in many sessions");
}

// Frozen by its own hand: cannot be asked to end, only killed.
static void LeaveStoppedOrphans(void) {
  for (int number = 0; number < 8; ++number) {
    const pid_t child = fork();
    if (child != 0) continue;
    setsid();
    if (fork() == 0) {
      OutliveAndTell();
    }
    raise(SIGSTOP);
    _exit(0);
  }
  SleepMs(200);
  Left("8 stopped processes, each with a child");
}

// A guard, should the pid namespace be off: what follows would hit the host.
static void EnsureOwnNamespace(void) {
  char text[4096];
  const ssize_t size = readlink("/proc/self/ns/pid", text, sizeof text - 1);
  if (size < 0) {
    Refused("the name of the pid namespace", errno);
    _exit(0);
  }
  text[size] = '\0';
  // The number of the machine's first pid namespace is fixed in the kernel.
  if (strcmp(text, "pid:[4026531836]") == 0) Through("the pid namespace of the host");
  if (ReadText("/proc/1/stat", text, sizeof text) < 0) {
    Refused("the age of PID 1", errno);
    _exit(0);
  }
  const char* field = strrchr(text, ')');
  for (int skipped = 0; field != NULL && skipped < 20; ++skipped) field = strchr(field + 1, ' ');
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  const long ticks = field == NULL ? 0 : atol(field);
  if (now.tv_sec - ticks / sysconf(_SC_CLK_TCK) > 3600) {
    Through("a PID 1 that is older than any sandbox");
  }
}

// The last one standing is PID 1, which the kernel shields from its namespace.
static void KillEverything(void) {
  EnsureOwnNamespace();
  const pid_t parent = getppid();
  if (kill(-1, SIGKILL) == 0 || errno == ESRCH) RefusedBy("kill(-1)", "PID 1 is spared");
  static const int kSignals[] = {SIGKILL, SIGSTOP, SIGTERM, SIGABRT, SIGSEGV, SIGINT,  SIGHUP,
                                 SIGQUIT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGTSTP, SIGXCPU};
  for (size_t index = 0; index < sizeof kSignals / sizeof kSignals[0]; ++index) {
    kill(1, kSignals[index]);
    if (parent > 1) kill(parent, kSignals[index]);
  }
  SleepMs(300);
  char text[1024];
  if (ReadText("/proc/1/stat", text, sizeof text) < 0) {
    Refused("the state of PID 1", errno);
    return;
  }
  const char* behind_name = strrchr(text, ')');
  const char state = behind_name == NULL ? '?' : behind_name[2];
  if (state == 'T' || state == 'Z' || state == 'X') Through("PID 1 is in state %c", state);
  RefusedBy("14 signals to PID 1", "it lives");
}

// Queued signals without end, from several processes.
static void StormOfSignals(void) {
  EnsureOwnNamespace();
  const union sigval value = {7};
  bool refused = false;
  for (int child = 0; child < 4; ++child) {
    if (fork() != 0) continue;
    while (SecondsPassed() < 4) {
      for (int number = 1; number < NSIG; ++number) {
        if (number != SIGCHLD && sigqueue(1, number, value) != 0 && errno == EPERM) refused = true;
        kill(1, SIGCHLD);
      }
    }
    _exit(refused ? 1 : 0);
  }
  WaitForAll();
  if (kill(1, 0) != 0 && errno == ESRCH) Through("PID 1 is gone");
  RefusedBy("a storm of signals to PID 1", "it lives");
}

// PID 1 learns of each child's end; many ends at once must not stall it.
static void StormOfChildren(void) {
  signal(SIGCHLD, SIG_IGN);
  while (SecondsPassed() < 4) {
    const pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) _exit(0);
      _exit(0);
    }
    if (child < 0) SleepMs(1);
  }
  RefusedBy("a storm of orphans' ends", "it is over");
}

// Busy in every way when the host kills the worker, or cancels.
static void BusyFamily(void) {
  for (int child = 0; child < 6; ++child) {
    if (fork() != 0) continue;
    if (child % 2 == 0) setsid();
    IgnoreHangup();
    while (TimeLeft()) {
      char path[64];
      snprintf(path, sizeof path, "/tmp/heartbeat-%d", child);
      const int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
      if (file >= 0 && write(file, "x", 1) > 0) close(file);
      if (write(STDOUT_FILENO, ".", 1) < 0) SleepMs(10);
      SleepMs(child);
    }
    _exit(0);
  }
  IgnoreHangup();
  Left("a family of 7 that is busy when it is killed");
  while (TimeLeft()) SleepMs(100);
  NothingEndedIt();
}

// Does a thing once it has begun: a command cancelled at its start must not come to it.
static void StartedAtAll(void) {
  const int file = open("/tmp/taskmint-attack-started", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file >= 0) Left("/tmp/taskmint-attack-started");
  while (TimeLeft()) SleepMs(100);
  NothingEndedIt();
}

// Waits for input that never ends, and blocks on a pipe nobody reads.
static void BlockOnPipe(void) {
  int ends[2];
  if (pipe(ends) != 0) {
    Refused("a pipe", errno);
    return;
  }
  IgnoreHangup();
  static char block[1 << 20];
  if (fork() == 0) {
    // The bound: the reader appears, and all go on.
    close(ends[1]);
    while (TimeLeft()) SleepMs(100);
    while (read(ends[0], block, sizeof block) > 0) {
    }
    _exit(0);
  }
  if (write(ends[1], block, sizeof block) < 0) Refused("a write", errno);
  NothingEndedIt();
}

const struct Attack kLifetimeAttacks[] = {
    {"daemon_holds_stdout", DaemonHoldsOutput},
    {"grandchild_keeps_pipe", GrandchildKeepsPipe},
    {"stdout_closed_early", CloseOutput},
    {"daemon_changes_number", DaemonChangesNumber},
    {"orphans_left", LeaveManyOrphans},
    {"stopped_orphans_left", LeaveStoppedOrphans},
    {"kill_everything", KillEverything},
    {"signal_storm", StormOfSignals},
    {"orphan_storm", StormOfChildren},
    {"killed_in_mid_run", BusyFamily},
    {"cancelled_at_start", StartedAtAll},
    {"blocked_on_pipe", BlockOnPipe},
    {NULL, NULL},
};
