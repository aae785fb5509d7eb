// Unix sockets of the host, by path and by abstract name.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

// 0 when something listens there, in either kind of socket.
static int Connect(const char* name, bool abstract) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const size_t size = strlen(name);
  if (size + 1 >= sizeof address.sun_path) return ENAMETOOLONG;
  memcpy(address.sun_path + (abstract ? 1 : 0), name, size);
  const socklen_t bytes =
      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (abstract ? 1 : 0));
  int error = 0;
  static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (size_t index = 0; index < sizeof kTypes / sizeof kTypes[0]; ++index) {
    const int line = socket(AF_UNIX, kTypes[index] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line < 0) return errno;
    const int result = connect(line, (struct sockaddr*)&address, bytes);
    error = result == 0 ? 0 : errno;
    close(line);
    if (error == 0 || error == EAGAIN) return 0;
  }
  return error;
}

// The test's own listener on the host is called as the last.
static void ReachAbstractSockets(void) {
  static const char* const kNames[] = {
      "/tmp/.X11-unix/X0",   "/tmp/.ICE-unix/1",          "/run/systemd/private",
      "/containerd-shim/x",  "/org/freedesktop/systemd1", "dbus-session",
      "taskmint-slot-61000", "taskmint-slot-1900000000",  "taskmint-attack-canary"};
  for (size_t index = 0; index < sizeof kNames / sizeof kNames[0]; ++index) {
    char what[128];
    snprintf(what, sizeof what, "abstract socket @%s", kNames[index]);
    const int error = Connect(kNames[index], true);
    if (error == 0) Through("%s", what);
    Refused(what, error);
  }
  static char list[1 << 18];
  if (ReadText("/proc/net/unix", list, sizeof list) < 0) {
    Refused("the list of unix sockets", errno);
    return;
  }
  int seen = 0;
  for (char* at = list; (at = strstr(at, " @")) != NULL;) {
    at += 2;
    char name[108];
    if (sscanf(at, "%107[^\n]", name) != 1) continue;
    ++seen;
    if (Connect(name, true) == 0) Through("abstract socket @%s", name);
  }
  char what[64];
  snprintf(what, sizeof what, "%d listed abstract sockets", seen);
  if (seen > 0) Through("%s", what);
  RefusedBy(what, "none of the host");
}

// Slots of users are claimed by such names on the host: taking them all would stop it.
static void SquatAbstractNames(void) {
  int taken = 0;
  for (int number = 0; number < 200; ++number) {
    char name[64];
    snprintf(name, sizeof name, "taskmint-slot-%d", 1900000000 + number);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    const int line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    if (line >= 0 && bind(line, (struct sockaddr*)&address, bytes) == 0) ++taken;
  }
  char what[96];
  snprintf(what, sizeof what, "200 abstract names of slots (%d taken, of this namespace)", taken);
  Left(what);
  SleepMs(1500);
}

static int sockets_seen;

static int TrySocket(const char* path, const struct stat* info, int kind, struct FTW* place) {
  (void)kind;
  (void)place;
  if (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/usr/", 5) == 0) return 0;
  if (!S_ISSOCK(info->st_mode)) return 0;
  // The way to the proxy is there on purpose.
  if (strncmp(path, "/sbx/", 5) == 0) return 0;
  ++sockets_seen;
  if (Connect(path, false) == 0) Through("socket %s", path);
  return 0;
}

static void ReachPathSockets(void) {
  static const char* const kPaths[] = {"/run/docker.sock",
                                       "/var/run/docker.sock",
                                       "/run/containerd/containerd.sock",
                                       "/run/dbus/system_bus_socket",
                                       "/run/systemd/private",
                                       "/run/systemd/journal/stdout",
                                       "/run/systemd/journal/socket",
                                       "/dev/log",
                                       "/run/nscd/socket",
                                       "/run/podman/podman.sock",
                                       "/run/crio/crio.sock",
                                       "/run/snapd.socket",
                                       "/run/user/0/bus",
                                       "/run/user/1000/bus",
                                       "/tmp/.X11-unix/X0",
                                       "/run/postgresql/.s.PGSQL.5432",
                                       "/run/mysqld/mysqld.sock",
                                       "/run/udev/control"};
  for (size_t index = 0; index < sizeof kPaths / sizeof kPaths[0]; ++index) {
    const int error = Connect(kPaths[index], false);
    if (error == 0) Through("socket %s", kPaths[index]);
    Refused(kPaths[index], error);
  }
  // Also those that nobody thought of, outside /usr.
  static const char* const kFolders[] = {"/run", "/var", "/tmp", "/dev", "/etc", "/sbx", "."};
  for (size_t index = 0; index < sizeof kFolders / sizeof kFolders[0]; ++index) {
    nftw(kFolders[index], TrySocket, 16, FTW_PHYS);
  }
  char what[64];
  snprintf(what, sizeof what, "%d sockets found in the tree", sockets_seen);
  RefusedBy(what, "none answers");
}

const struct Attack kSocketAttacks[] = {
    {"abstract_sockets", ReachAbstractSockets},
    {"abstract_names_taken", SquatAbstractNames},
    {"path_sockets", ReachPathSockets},
    {NULL, NULL},
};
