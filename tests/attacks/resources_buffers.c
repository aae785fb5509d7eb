// Kernel memory behind descriptors, and descriptors themselves.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

static const size_t kHeldBytesMax = ATTACK_MEMORY_BYTES_MAX;

// Runs `fill` in up to 64 processes, since one has few descriptors. `fill` adds what it holds.
static void HoldInFamily(const char* what, void (*fill)(atomic_size_t* held)) {
  enum { kChildren = 64 };
  atomic_size_t* held = SharedMemory(sizeof *held);
  atomic_int* done = SharedMemory(sizeof *done);
  pid_t children[kChildren];
  int started = 0;
  for (; started < kChildren; ++started) {
    children[started] = fork();
    if (children[started] < 0) break;
    if (children[started] > 0) continue;
    fill(held);
    atomic_fetch_add(done, 1);
    while (TimeLeft()) SleepMs(50);
    _exit(0);
  }
  while (TimeLeft() && atomic_load(done) < started && atomic_load(held) < kHeldBytesMax) {
    SleepMs(50);
  }
  const size_t bytes = atomic_load(held);
  for (int child = 0; child < started; ++child) kill(children[child], SIGKILL);
  if (bytes >= kHeldBytesMax) Through("%zu bytes in %s", bytes, what);
  char line[128];
  snprintf(line, sizeof line, "more than %zu MiB in %s", bytes >> 20, what);
  RefusedBy(line, "EMFILE, EPERM or EAGAIN");
}

static void FillPipes(atomic_size_t* held) {
  static char block[4096];
  int ends[2];
  while (TimeLeft() && pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0) {
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    for (ssize_t size; (size = write(ends[1], block, sizeof block)) > 0;) {
      if (atomic_fetch_add(held, (size_t)size) > kHeldBytesMax) return;
    }
  }
}

static void HogPipes(void) { HoldInFamily("pipes", FillPipes); }

static void FillSockets(atomic_size_t* held) {
  static char block[65536];
  int ends[2];
  while (TimeLeft() && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0) {
    const int large = 1 << 26;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    for (ssize_t size; (size = write(ends[0], block, sizeof block)) > 0;) {
      if (atomic_fetch_add(held, (size_t)size) > kHeldBytesMax) return;
    }
  }
}

static void HogSockets(void) { HoldInFamily("sockets", FillSockets); }

static void ExhaustDescriptors(void) {
  for (int count = 0; count < kFilesMax; ++count) {
    if (eventfd(0, 0) < 0) {
      char what[64];
      snprintf(what, sizeof what, "descriptor after %d more", count);
      Refused(what, errno);
      return;
    }
  }
  Through("%d descriptors", kFilesMax);
}

static void TakeDescriptors(atomic_size_t* held) {
  for (int count = 0; count < kFilesMax && eventfd(0, 0) >= 0; ++count) {
    if (atomic_fetch_add(held, 1) > (size_t)5 * kFilesMax) return;
  }
}

// The machine has one table of open files.
static void ExhaustDescriptorsInFamily(void) {
  atomic_size_t* held = SharedMemory(sizeof *held);
  int started = 0;
  int refused = 0;
  for (; started < 400; ++started) {
    const pid_t child = fork();
    if (child < 0) {
      refused = errno;
      break;
    }
    if (child > 0) continue;
    TakeDescriptors(held);
    while (TimeLeft() && SecondsPassed() < 5) SleepMs(100);
    _exit(0);
  }
  SleepMs(1000);
  if (started == 400) Through("%zu descriptors in 400 processes", atomic_load(held));
  char what[64];
  snprintf(what, sizeof what, "process %d with all its descriptors", started + 1);
  Refused(what, refused);
}

// Descriptors in messages nobody reads count for no process.
static void SendDescriptors(void) {
  for (int sent = 0; sent < kFilesMax;) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) != 0) {
      Refused("another socket pair", errno);
      return;
    }
    while (true) {
      char byte = 0;
      struct iovec part = {&byte, 1};
      union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr alignment;
      } space;
      struct msghdr message = {0};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = space.bytes;
      message.msg_controllen = sizeof space.bytes;
      struct cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int file = eventfd(0, 0);
      if (file < 0) {
        Refused("another descriptor to send", errno);
        return;
      }
      memcpy(CMSG_DATA(header), &file, sizeof file);
      const ssize_t size = sendmsg(ends[0], &message, 0);
      const int error = errno;
      close(file);
      if (size < 0 && error == EAGAIN) break;  // this socket is full
      if (size < 0) {
        Refused("another descriptor in flight", error);
        return;
      }
      ++sent;
    }
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%d descriptors in flight", kFilesMax);
}

// Timers are counted for the user, over all sandboxes.
static void FloodTimers(void) {
  for (int count = 0; count < kUserObjectsMax; ++count) {
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, NULL, &timer) != 0) {
      char what[64];
      snprintf(what, sizeof what, "timer %d", count + 1);
      Refused(what, errno);
      return;
    }
  }
  Through("%d timers", kUserObjectsMax);
}

// Watches are counted for the user, too.
static void FloodWatches(void) {
  for (int count = 0; count < kFilesMax; ++count) {
    if (inotify_init1(IN_CLOEXEC) < 0) {
      char what[64];
      snprintf(what, sizeof what, "inotify instance %d", count + 1);
      Refused(what, errno);
      return;
    }
  }
  Through("%d inotify instances", kFilesMax);
}

// Queued signals are counted for the user as well.
static void QueueSignals(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  const union sigval value = {0};
  for (int count = 0; count < kUserObjectsMax; ++count) {
    if (sigqueue(getpid(), SIGRTMIN + 1, value) != 0) {
      char what[64];
      snprintf(what, sizeof what, "queued signal %d", count + 1);
      Refused(what, errno);
      return;
    }
  }
  Through("%d queued signals", kUserObjectsMax);
}

const struct Attack kBufferAttacks[] = {
    {"pipe_buffer_hog", HogPipes},
    {"socket_buffer_hog", HogSockets},
    {"descriptor_exhaustion", ExhaustDescriptors},
    {"descriptor_exhaustion_family", ExhaustDescriptorsInFamily},
    {"descriptors_in_flight", SendDescriptors},
    {"timer_flood", FloodTimers},
    {"inotify_flood", FloodWatches},
    {"signal_queue_flood", QueueSignals},
    {NULL, NULL},
};
