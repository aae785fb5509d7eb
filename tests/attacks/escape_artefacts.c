// Things left in the work folder for whoever takes them out of it. Nothing is refused here: the
// host judges by what it took, and by what it touched.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

static void LinkTo(const char* target, const char* name) {
  if (symlink(target, name) != 0) Refused(name, errno);
}

static void LeaveLinks(void) {
  static char long_target[4096];
  memset(long_target, 'l', sizeof long_target - 1);
  for (size_t at = 200; at < sizeof long_target - 1; at += 200) long_target[at] = '/';
  LinkTo("/etc/passwd", "link-to-file");
  LinkTo("/", "link-to-root");
  LinkTo("/proc/self/root", "link-to-proc-root");
  LinkTo("/proc/self/fd/0", "link-to-input");
  LinkTo("../../../../../../etc/passwd", "link-upwards");
  LinkTo("link-loop-b", "link-loop-a");
  LinkTo("link-loop-a", "link-loop-b");
  LinkTo(".", "link-to-itself");
  LinkTo("..", "link-to-parent");
  LinkTo("/tmp/taskmint-attack-canary", "link-to-canary");
  LinkTo(long_target, "link-with-long-target");
  LinkTo("target\nwith\ttwo lines \xff\xfe", "link-to-odd-target");
  mkdir("folder", 0700);
  LinkTo("../../../../../../tmp", "folder/link-to-host-tmp");
  LinkTo("/dev/zero", "link-to-endless-file");
  LinkTo("/dev/stdin", "result.json");
  Left("15 symbolic links");
}

static void LeaveSpecialFiles(void) {
  if (mkfifo("fifo", 0666) != 0) Refused("a FIFO", errno);
  if (mkfifo("result.json", 0666) != 0) Refused("a FIFO", errno);
  const int line = socket(AF_UNIX, SOCK_STREAM, 0);
  const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  if (bind(line, (const struct sockaddr*)&address, sizeof address) != 0) {
    Refused("a socket", errno);
  }
  if (mkdir("closed-folder", 0700) == 0) {
    const int file = open("closed-folder/file", O_CREAT | O_WRONLY, 0600);
    if (file >= 0) close(file);
    chmod("closed-folder", 0);
  }
  const int closed = open("closed-file", O_CREAT | O_WRONLY, 0);
  if (closed >= 0 && write(closed, "x", 1) > 0) close(closed);
  if (mkdir("unwritable-folder", 0700) == 0) {
    const int file = open("unwritable-folder/file", O_CREAT | O_WRONLY, 0400);
    if (file >= 0) close(file);
    chmod("unwritable-folder", 0500);
  }
  // Whiteouts of overlays may be made without any right.
  if (mknod("whiteout", S_IFCHR, 0) != 0) Refused("a whiteout", errno);
  Left("FIFOs, a socket, folders and files without permissions");
}

// Paths beyond PATH_MAX, and deeper than a recursion's stack.
static void LeaveDeepTree(void) {
  int depth = 0;
  int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (; depth < 20000 && at >= 0; ++depth) {
    if (mkdirat(at, "d", 0700) != 0) break;
    const int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(at);
    at = next;
  }
  if (depth < 20000) Refused("a deeper folder", errno);
  char what[64];
  snprintf(what, sizeof what, "a tree of %d folders, each in the one above", depth);
  Left(what);
}

static void LeaveWideTree(void) {
  int count = 0;
  for (; count < 60000 && TimeLeft(); ++count) {
    char name[256];
    snprintf(name, sizeof name, "a-file-with-a-name-of-some-length-%0200d", count);
    const int file = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) {
      Refused("another file", errno);
      break;
    }
    close(file);
  }
  char what[64];
  snprintf(what, sizeof what, "a folder of %d files", count);
  Left(what);
}

// Names that Python's program leaves out, since it cannot make them all.
static void LeaveOddNames(void) {
  static const char* const kNames[] = {"-rf",
                                       "--help",
                                       "name with\nline",
                                       "name\twith\ttabs",
                                       "\x1b[31mred\x1b[0m",
                                       "$(id)",
                                       "`id`",
                                       ";id;",
                                       "*",
                                       "name\"with'quotes",
                                       " ",
                                       "...",
                                       "..name",
                                       "con",
                                       "nul.txt",
                                       "trailing.",
                                       "trailing ",
                                       "\xff\xfe\xfd",
                                       "\xc0\xae\xc0\xae",
                                       "\xed\xa0\x80",
                                       "a\\..\\b",
                                       "C:name",
                                       "\xe2\x80\xae"
                                       "txt.exe",
                                       "Name",
                                       "name"};
  int made = 0;
  for (size_t index = 0; index < sizeof kNames / sizeof kNames[0]; ++index) {
    const int file = open(kNames[index], O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) continue;
    ++made;
    close(file);
  }
  char longest[256];
  memset(longest, 'n', 255);
  longest[255] = '\0';
  if (open(longest, O_CREAT | O_WRONLY, 0600) >= 0) ++made;
  char what[64];
  snprintf(what, sizeof what, "%d files with odd names", made);
  Left(what);
}

// While the host reads, a folder turns into a link to the host's and back.
static void SwapWhileCollected(void) {
  mkdir("swapped", 0700);
  const int inside = open("swapped/passwd", O_CREAT | O_WRONLY | O_TRUNC, 0600);
  if (inside >= 0 && write(inside, "of the sandbox\n", 15) > 0) close(inside);
  LinkTo("/etc", "swapped-link");
  const int file = open("grows", O_CREAT | O_WRONLY | O_TRUNC, 0600);
  if (file >= 0 && write(file, "x", 1) < 0) Refused("a file", errno);
  Left("a folder and a link to /etc that change places for 6 s");
  const unsigned exchange = 2;
  while (SecondsPassed() < 6) {
    syscall(SYS_renameat2, AT_FDCWD, "swapped", AT_FDCWD, "swapped-link", exchange);
    // A file grows and shrinks while it is copied.
    if (ftruncate(file, 1 << 20) != 0 || ftruncate(file, 0) != 0) continue;
  }
}

// The work folder itself is moved away or replaced, where that is allowed.
static void ReplaceWorkFolder(void) {
  char folder[4096];
  if (getcwd(folder, sizeof folder) == NULL) {
    Refused("the name of the work folder", errno);
    return;
  }
  const char* const last = strrchr(folder, '/');
  MustFail("the work folder moved", rename(folder, "/moved"));
  MustFail("the work folder moved to /tmp", rename(folder, "/tmp/moved"));
  MustFail("the work folder removed", rmdir(folder));
  if (last != NULL) MustFail("a link in its place", symlink("/etc", folder));
  if (chmod(folder, 0) == 0) Left("a work folder without permissions");
}

// The host's cleaning up must not follow anything out.
static void ResistRemoval(void) {
  mkdir("stays", 0700);
  for (int number = 0; number < 100; ++number) {
    char name[64];
    snprintf(name, sizeof name, "stays/file-%d", number);
    const int file = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0);
    if (file >= 0) close(file);
  }
  LinkTo("/tmp", "stays/link");
  chmod("stays", 0);
  // Made anew as fast as it is removed.
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    signal(SIGTERM, SIG_IGN);
    for (int number = 0; SecondsPassed() < 10; ++number) {
      char name[64];
      snprintf(name, sizeof name, "again-%d", number % 100);
      mkdir(name, 0);
    }
    _exit(0);
  }
  Left("folders without permissions, and a process that makes new ones");
}

const struct Attack kArtefactAttacks[] = {
    {"links_left", LeaveLinks},
    {"special_files_left", LeaveSpecialFiles},
    {"deep_tree_left", LeaveDeepTree},
    {"wide_tree_left", LeaveWideTree},
    {"odd_names_left", LeaveOddNames},
    {"swapped_while_collected", SwapWhileCollected},
    {"work_folder_replaced", ReplaceWorkFolder},
    {"removal_resisted", ResistRemoval},
    {NULL, NULL},
};
