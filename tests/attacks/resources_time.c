// Time and output without end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"

static void WriteWithoutEnd(int fd) {
  static char block[65536];
  memset(block, 'y', sizeof block);
  block[sizeof block - 1] = '\n';
  for (size_t written = 0; written < ATTACK_FILE_BYTES_MAX && TimeLeft();) {
    const ssize_t size = write(fd, block, sizeof block);
    if (size < 0) {
      Refused("more output", errno);
      return;
    }
    written += (size_t)size;
  }
  Through("%d s or %zu bytes of output", kSecondsMax, ATTACK_FILE_BYTES_MAX);
}

static void EndlessOutput(void) { WriteWithoutEnd(STDOUT_FILENO); }
static void EndlessErrorOutput(void) { WriteWithoutEnd(STDERR_FILENO); }

// Both at once, by processes in sessions of their own, while the first one waits.
static void EndlessOutputOfFamily(void) {
  for (int child = 0; child < 4; ++child) {
    if (fork() != 0) continue;
    setsid();
    WriteWithoutEnd(child % 2 == 0 ? STDOUT_FILENO : STDERR_FILENO);
    _exit(0);
  }
  WaitForAll();
}

// One byte at a time: a reader woken for each is kept busy.
static void TrickleOutput(void) {
  while (TimeLeft()) {
    if (write(STDOUT_FILENO, ".", 1) < 0) {
      Refused("more output", errno);
      return;
    }
  }
  NothingEndedIt();
}

static void IgnoreEverySignal(void) {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_IGN);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
}

static void Spin(void) {
  while (TimeLeft()) {
    for (volatile int round = 0; round < 1000000; ++round) {
    }
  }
}

static void SpinDeafToLimits(void) {
  IgnoreEverySignal();
  Spin();
  NothingEndedIt();
}

// Each process has little CPU time, all together have much.
static void SpinInFamily(void) {
  for (int child = 0; child < 16; ++child) {
    if (fork() != 0) continue;
    IgnoreEverySignal();
    Spin();
    _exit(0);
  }
  IgnoreEverySignal();
  Spin();
  NothingEndedIt();
}

// CPU time of children that are dead and waited for counts as well.
static void SpinInRelay(void) {
  signal(SIGCHLD, SIG_IGN);
  while (TimeLeft()) {
    const pid_t child = fork();
    if (child == 0) {
      for (volatile int round = 0; round < 20000000; ++round) {
      }
      _exit(0);
    }
    WaitForAll();
  }
  NothingEndedIt();
}

static void* SpinInThread(void* unused) {
  (void)unused;
  Spin();
  return NULL;
}

static void SpinInThreads(void) {
  IgnoreEverySignal();
  for (int count = 0; count < 16; ++count) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, SpinInThread, NULL) != 0) break;
  }
  Spin();
  NothingEndedIt();
}

static void Sleep(void) {
  while (TimeLeft()) SleepMs(100);
  NothingEndedIt();
}

static void SleepDeafToSignals(void) {
  IgnoreEverySignal();
  Sleep();
}

// The answer to each SIGTERM is another process.
static void OnTerminate(int number) {
  (void)number;
  if (fork() == 0) setsid();
}

static void ForkOnTerminate(void) {
  struct sigaction action = {.sa_handler = OnTerminate, .sa_flags = SA_RESTART | SA_NODEFER};
  for (int number = 1; number < NSIG; ++number) sigaction(number, &action, NULL);
  Sleep();
}

// A stopped process is not an ended one.
static void StopItself(void) {
  const pid_t waker = fork();
  if (waker == 0) {
    while (TimeLeft()) SleepMs(100);
    kill(getppid(), SIGCONT);
    _exit(0);
  }
  raise(SIGSTOP);
  NothingEndedIt();
}

const struct Attack kTimeAttacks[] = {
    {"endless_stdout", EndlessOutput},
    {"endless_stderr", EndlessErrorOutput},
    {"endless_output_family", EndlessOutputOfFamily},
    {"output_by_bytes", TrickleOutput},
    {"cpu_spin", SpinDeafToLimits},
    {"cpu_spin_family", SpinInFamily},
    {"cpu_spin_relay", SpinInRelay},
    {"cpu_spin_threads", SpinInThreads},
    {"sleep_forever", Sleep},
    {"signals_ignored", SleepDeafToSignals},
    {"fork_on_signal", ForkOnTerminate},
    {"stops_itself", StopItself},
    {NULL, NULL},
};
