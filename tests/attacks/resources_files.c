// File systems filled up, by bytes, by files and by attributes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attack.h"

static char block[1 << 20];

// Writes file after file below `folder`, since each has a limit of its own, until an errno other
// than of that limit. Returns the errno, or 0 at `bytes_max`.
static int Fill(const char* folder, size_t bytes_max, bool unlinked, size_t* written) {
  signal(SIGXFSZ, SIG_IGN);
  *written = 0;
  for (int number = 0; *written < bytes_max; ++number) {
    char path[4200];
    snprintf(path, sizeof path, "%s/fill-%d-%d", folder, (int)getpid(), number);
    const int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) return errno;
    if (unlinked) unlink(path);
    for (size_t size = 0; size < ((size_t)256 << 20) && *written < bytes_max;) {
      const ssize_t wrote = write(file, block, sizeof block);
      if (wrote < 0 && errno == EFBIG) break;
      if (wrote <= 0) return errno;
      size += (size_t)wrote;
      *written += (size_t)wrote;
      if (!TimeLeft()) NothingEndedIt();
    }
    if (!unlinked) close(file);
  }
  return 0;
}

static void FillFolder(const char* folder, bool unlinked) {
  size_t written;
  const int error = Fill(folder, ATTACK_FILE_BYTES_MAX, unlinked, &written);
  if (error == 0) Through("%zu bytes in %s", written, folder);
  char what[256];
  snprintf(what, sizeof what, "more than %zu MiB in %.200s", written >> 20, folder);
  Refused(what, error);
}

static void FillTmp(void) { FillFolder("/tmp", false); }
static void FillWork(void) { FillFolder(".", false); }
static void FillSharedMemory(void) { FillFolder("/dev/shm", false); }
// Held by descriptors only: no listing shows them.
static void FillUnlinked(void) { FillFolder("/tmp", true); }

// Every other file system, also those that nobody thought of as writable.
static void FillEveryMount(void) {
  static char mounts[1 << 16];
  if (ReadText("/proc/self/mounts", mounts, sizeof mounts) < 0) {
    Refused("the list of mounts", errno);
    return;
  }
  for (char *line = mounts, *next; line != NULL && *line != '\0'; line = next) {
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    char point[1024];
    if (sscanf(line, "%*s %1023s", point) != 1 || strncmp(point, "/proc", 5) == 0) continue;
    size_t written;
    const size_t bytes_max = ATTACK_FILE_BYTES_MAX;
    const int error = Fill(point, bytes_max, true, &written);
    if (error == 0) Through("%zu bytes in %s", written, point);
    char what[1200];
    snprintf(what, sizeof what, "more than %zu MiB in %s", written >> 20, point);
    Refused(what, error);
    // What was held is not needed any more.
    for (int fd = 3; fd < 1024; ++fd) close(fd);
  }
}

static void FloodFiles(const char* folder, bool folders) {
  for (int count = 0; count < kFilesMax; ++count) {
    char path[256];
    snprintf(path, sizeof path, "%s/inode-%d", folder, count);
    int result;
    if (folders) {
      result = mkdir(path, 0700);
    } else {
      result = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
      if (result >= 0) close(result);
    }
    if (result < 0) {
      const int error = errno;
      snprintf(path, sizeof path, "%s %d in %s", folders ? "folder" : "file", count + 1, folder);
      Refused(path, error);
      return;
    }
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%d files in %s", kFilesMax, folder);
}

static void FloodInodes(void) { FloodFiles("/tmp", false); }
static void FloodInodesOfWork(void) { FloodFiles(".", true); }
static void FloodInodesOfSharedMemory(void) { FloodFiles("/dev/shm", false); }

// Names, not files: hard links of one file take folder entries only.
static void FloodLinks(void) {
  const int file = open("/tmp/linked", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) {
    Refused("a file to link", errno);
    return;
  }
  for (int count = 0; count < kFilesMax; ++count) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/link-%d", count);
    if (link("/tmp/linked", path) != 0) {
      snprintf(path, sizeof path, "hard link %d", count + 1);
      Refused(path, errno);
      return;
    }
  }
  Through("%d hard links", kFilesMax);
}

// Bytes that belong to no file's size.
static void FillAttributes(void) {
  const size_t bytes_max = ATTACK_FILE_BYTES_MAX;
  size_t written = 0;
  for (int number = 0; number < kFilesMax; ++number) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/attributes-%d", number);
    const int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) {
      Refused("a file for attributes", errno);
      return;
    }
    for (int attribute = 0; attribute < 64; ++attribute) {
      char name[64];
      snprintf(name, sizeof name, "user.fill-%d", attribute);
      if (fsetxattr(file, name, block, 32768, 0) != 0) {
        Refused("more attributes", errno);
        return;
      }
      written += 32768;
      if (written >= bytes_max) Through("%zu bytes of attributes", written);
    }
    close(file);
  }
}

// Large at no cost here, and for whoever copies it out at full cost.
static void MakeSparseFile(void) {
  signal(SIGXFSZ, SIG_IGN);
  const int file = open("sparse", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    Refused("a file", errno);
    return;
  }
  MustFail("a file of 4 TiB by ftruncate", ftruncate(file, (off_t)4 << 40));
  MustFail("a file of 4 TiB by pwrite", pwrite(file, "x", 1, (off_t)4 << 40));
  MustFail("a file of 64 GiB by fallocate", fallocate(file, 0, 0, (off_t)64 << 30));
  if (ftruncate(file, (off_t)900 << 20) == 0) Left("a sparse file of 900 MiB");
}

static sigjmp_buf after_fault;

static void OnFault(int number) { siglongjmp(after_fault, number); }

// Pages of a mapped file are written without write().
static void FillMapping(void) {
  signal(SIGBUS, OnFault);
  signal(SIGXFSZ, SIG_IGN);
  // Both must survive the jump.
  static volatile size_t mapped;
  static volatile int number;
  for (; mapped < ATTACK_FILE_BYTES_MAX; ++number) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/mapped-%d", number);
    const size_t size = (size_t)256 << 20;
    const int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, (off_t)size) != 0) {
      Refused("another file to map", errno);
      return;
    }
    char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) {
      Refused("another mapping", errno);
      return;
    }
    if (sigsetjmp(after_fault, 1) != 0) {
      RefusedBy("pages of a mapped file", "SIGBUS");
      return;
    }
    for (size_t at = 0; at < size; at += 4096) ((volatile char*)memory)[at] = 1;
    munmap(memory, size);
    mapped += size;
    if (!TimeLeft()) NothingEndedIt();
  }
  Through("%zu bytes of mapped files", (size_t)mapped);
}

const struct Attack kFileAttacks[] = {
    {"tmp_fill", FillTmp},
    {"work_fill", FillWork},
    {"dev_shm_fill", FillSharedMemory},
    {"unlinked_fill", FillUnlinked},
    {"every_mount_fill", FillEveryMount},
    {"inode_flood", FloodInodes},
    {"inode_flood_work", FloodInodesOfWork},
    {"inode_flood_dev_shm", FloodInodesOfSharedMemory},
    {"link_flood", FloodLinks},
    {"attribute_fill", FillAttributes},
    {"sparse_file", MakeSparseFile},
    {"mapped_fill", FillMapping},
    {NULL, NULL},
};
