// What came along from the host by mistake: descriptors, variables, files.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

extern char** environ;

static void UseDescriptors(void) {
  for (int fd = 3; fd < 65536; ++fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) continue;
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(path, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = '\0';
    Through("descriptor %d is %s", fd, target);
  }
  errno = EBADF;
  MustFail("descriptors above 2", -1);
  for (int fd = 0; fd < 3; ++fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) Through("descriptor %d is a folder", fd);
    if (S_ISBLK(info.st_mode)) Through("descriptor %d is a disk", fd);
    // A file of the host would be one with a name.
    if (S_ISREG(info.st_mode) && info.st_nlink > 0) Through("descriptor %d is a host file", fd);
    if (S_ISSOCK(info.st_mode)) Through("descriptor %d is a socket", fd);
    if (isatty(fd)) Through("descriptor %d is a terminal of the host", fd);
  }
  RefusedBy("descriptors 0 to 2", "pipes or nothing");
}

// Output to a pipe may be read back and its size changed, where it was opened so.
static void ReadOwnOutput(void) {
  for (int fd = 1; fd < 3; ++fd) {
    char what[64], path[64];
    snprintf(what, sizeof what, "reading from descriptor %d", fd);
    char byte;
    const int flags = fcntl(fd, F_GETFL);
    if ((flags & O_ACCMODE) != O_WRONLY && flags >= 0) {
      fcntl(fd, F_SETFL, flags | O_NONBLOCK);
      const ssize_t size = read(fd, &byte, 1);
      fcntl(fd, F_SETFL, flags);
      if (size > 0) Through("%s", what);
    }
    Refused(what, EBADF);
    // The same pipe opened anew for both ways lets it steal from the reader: of its own only.
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int again = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (again >= 0) {
      fcntl(again, F_SETPIPE_SZ, 4096);
      close(again);
    }
  }
  Left("its own output pipe shrunk to 4096 bytes");
  // And non-blocking at the reader's end, as the flag belongs to the pipe's one end.
  fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
  for (int line = 0; line < 200; ++line) {
    while (write(STDOUT_FILENO, "left: a line of 32 characters..\n", 32) < 0 && TimeLeft()) {
      SleepMs(1);
    }
  }
}

static bool LooksSecret(const char* variable) {
  static const char* const kParts[] = {"TOKEN",      "SECRET",  "PASSWORD", "PASSWD",
                                       "CREDENTIAL", "API_KEY", "APIKEY",   "ACCESS_KEY",
                                       "PRIVATE",    "AUTH",    "CANARY"};
  static const char* const kStarts[] = {
      "AWS_",    "SSH_",       "DBUS_", "KUBERNETES_", "XDG_", "GITHUB_",  "GOOGLE_", "AZURE_",
      "OPENAI_", "ANTHROPIC_", "HF_",   "SUDO_",       "LD_",  "DISPLAY=", "USER=",   "LOGNAME="};
  const char* end = strchr(variable, '=');
  const size_t size = end == NULL ? strlen(variable) : (size_t)(end - variable);
  for (size_t index = 0; index < sizeof kStarts / sizeof kStarts[0]; ++index) {
    if (strncmp(variable, kStarts[index], strlen(kStarts[index])) == 0) return true;
  }
  for (size_t index = 0; index < sizeof kParts / sizeof kParts[0]; ++index) {
    const size_t part = strlen(kParts[index]);
    for (size_t at = 0; at + part <= size; ++at) {
      if (strncasecmp(variable + at, kParts[index], part) == 0) return true;
    }
  }
  return false;
}

static void ReadEnvironment(void) {
  for (char** variable = environ; *variable != NULL; ++variable) {
    if (LooksSecret(*variable)) Through("variable %.60s", *variable);
  }
  RefusedBy("secrets in the environment", "none");
  // The first environment of every process, as it was started.
  DIR* folder = opendir("/proc");
  if (folder == NULL) return;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    static char text[1 << 16];
    char path[300];
    if (atoi(entry->d_name) <= 0 || atoi(entry->d_name) == getpid()) continue;
    snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
    const long size = ReadText(path, text, sizeof text);
    if (size < 0) {
      Refused(path, errno);
      continue;
    }
    for (long at = 0; at < size; at += (long)strlen(text + at) + 1) {
      if (LooksSecret(text + at)) Through("variable %.60s of %s", text + at, path);
    }
    RefusedBy(path, "no secrets");
  }
  closedir(folder);
}

// Whatever of the host is worth reading must not be there.
static void ReadHostFiles(void) {
  static const char* const kPaths[] = {"/etc/shadow",
                                       "/etc/gshadow",
                                       "/etc/sudoers",
                                       "/etc/fstab",
                                       "/etc/ssh",
                                       "/etc/kubernetes",
                                       "/etc/docker",
                                       "/etc/taskmint",
                                       "/root",
                                       "/home",
                                       "/root/.ssh",
                                       "/root/.bash_history",
                                       "/root/.aws",
                                       "/root/.netrc",
                                       "/var/log",
                                       "/var/lib",
                                       "/var/run/secrets",
                                       "/run/secrets",
                                       "/srv",
                                       "/mnt",
                                       "/media",
                                       "/opt",
                                       "/boot",
                                       "/lost+found",
                                       "/proc/1/root/root",
                                       "/var/tmp/taskmint-attack-canary",
                                       "/tmp/taskmint-attack-canary"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    const int fd = open(kPaths[index], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
      Refused(kPaths[index], errno);
      continue;
    }
    struct stat info;
    fstat(fd, &info);
    if (S_ISDIR(info.st_mode)) {
      // A folder masked by an empty one is as good as none.
      int entries = 0;
      DIR* folder = fdopendir(fd);
      while (folder != NULL && readdir(folder) != NULL) ++entries;
      if (entries > 2) Through("folder %s with %d entries", kPaths[index], entries - 2);
      RefusedBy(kPaths[index], "empty");
      if (folder != NULL) closedir(folder);
      continue;
    }
    if (info.st_size > 0) Through("file %s", kPaths[index]);
    RefusedBy(kPaths[index], "empty");
    close(fd);
  }
}

// A lease makes whoever opens the file on the host wait for this process.
static void LeaseHostFiles(void) {
  static const char* const kPaths[] = {"/usr/bin/env", "/usr/bin/python3", "/usr/bin/git",
                                       "/usr/lib/os-release"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    const int fd = open(kPaths[index], O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    char what[64];
    snprintf(what, sizeof what, "lease of %s", kPaths[index]);
    MustFail(what, fcntl(fd, F_SETLEASE, F_RDLCK));
    unsigned long flags = 0;
    // FS_IOC_GETFLAGS and the same written back.
    if (ioctl(fd, 0x80086601UL, &flags) == 0) {
      snprintf(what, sizeof what, "attributes of %s", kPaths[index]);
      MustFail(what, ioctl(fd, 0x40086602UL, &flags));
    }
    close(fd);
  }
}

const struct Attack kInheritedAttacks[] = {
    {"inherited_descriptors", UseDescriptors}, {"own_output", ReadOwnOutput},
    {"environment_secrets", ReadEnvironment},  {"host_files", ReadHostFiles},
    {"host_file_leases", LeaseHostFiles},      {NULL, NULL},
};
