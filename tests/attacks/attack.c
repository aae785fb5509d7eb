#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A line at once, so that lines of several processes do not mix.
static void Say(const char* line) {
  const size_t size = strlen(line);
  if (write(STDOUT_FILENO, line, size) < 0) return;
}

void RefusedBy(const char* what, const char* how) {
  char line[512];
  snprintf(line, sizeof line, "refused: %.400s (%s)\n", what, how);
  Say(line);
}

void Refused(const char* what, int error) {
  const char* name = strerrorname_np(error);
  RefusedBy(what, name != NULL ? name : "no error");
}

void Left(const char* what) {
  char line[512];
  snprintf(line, sizeof line, "left: %.400s\n", what);
  Say(line);
}

void Through(const char* format, ...) {
  char line[512] = "through: ";
  const size_t head = strlen(line);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line + head, sizeof line - head - 1, format, arguments);
  va_end(arguments);
  strcat(line, "\n");
  Say(line);
  _exit(kThroughStatus);
}

void MustFail(const char* what, long result) {
  if (result >= 0) Through("%s", what);
  Refused(what, errno);
}

void MustBeDenied(const char* what, long result) {
  if (result >= 0) Through("%s", what);
  const int error = errno;
  if (error != EPERM && error != EACCES && error != ENOSYS && error != EROFS) {
    Through("%s reached the kernel (%s)", what, strerrorname_np(error));
  }
  Refused(what, error);
}

void MustNotOpen(const char* path, int flags) {
  char what[512];
  snprintf(what, sizeof what, "open %.450s to %s", path,
           (flags & O_ACCMODE) == O_RDONLY ? "read" : "write");
  const int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    Refused(what, errno);
    return;
  }
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3)) {
    RefusedBy(what, "masked");
  } else {
    Through("%s", what);
  }
  close(fd);
}

void InChild(const char* what, void (*attempt)(void)) {
  const pid_t child = fork();
  if (child < 0) {
    Refused(what, errno);
    return;
  }
  if (child == 0) {
    attempt();
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kThroughStatus) _exit(kThroughStatus);
  if (WIFSIGNALED(status)) {
    char how[32];
    snprintf(how, sizeof how, "SIG%s", sigabbrev_np(WTERMSIG(status)));
    RefusedBy(what, how);
  }
}

int WaitForAll(void) {
  int killed = 0;
  bool through = false;
  for (int status;;) {
    if (wait(&status) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == kThroughStatus) through = true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ++killed;
  }
  if (through) _exit(kThroughStatus);
  return killed;
}

double SecondsPassed(void) {
  static struct timespec start;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (start.tv_sec == 0 && start.tv_nsec == 0) start = now;
  return (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
}

bool TimeLeft(void) { return SecondsPassed() < kSecondsMax; }

void SleepMs(long ms) {
  struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
}

void NothingEndedIt(void) { Through("it ran for %d s and nothing ended it", kSecondsMax); }

void* SharedMemory(size_t bytes) {
  void* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    Refused("memory shared with children", errno);
    _exit(0);
  }
  return memory;
}

long ReadText(const char* path, char* text, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return -1;
  size_t filled = 0;
  while (filled + 1 < size) {
    const ssize_t got = read(fd, text + filled, size - 1 - filled);
    if (got < 0 && filled == 0) {
      const int error = errno;
      close(fd);
      errno = error;
      return -1;
    }
    if (got <= 0) break;
    filled += (size_t)got;
  }
  text[filled] = '\0';
  close(fd);
  return (long)filled;
}
