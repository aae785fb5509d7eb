// The network, and kinds of sockets that lead around its namespace.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack.h"

// A line to the hypervisor that no network namespace cuts.
static void OpenVsock(void) {
  static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (size_t index = 0; index < sizeof kTypes / sizeof kTypes[0]; ++index) {
    const int line = socket(AF_VSOCK, kTypes[index] | SOCK_CLOEXEC, 0);
    MustFail("a vsock", line);
  }
  // The kernel reads 32 bits of the family.
  MustFail("a vsock with upper bits", syscall(SYS_socket, 1L << 32 | AF_VSOCK, SOCK_STREAM, 0));
  MustNotOpen("/dev/vsock", O_RDWR);
}

static void OpenNetlink(void) {
  for (int protocol = 1; protocol < 32; ++protocol) {
    char what[64];
    snprintf(what, sizeof what, "netlink family %d", protocol);
    MustFail(what, socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    MustFail(what, socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
  }
  MustFail("netlink with upper bits of the protocol",
           syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 1L << 32 | NETLINK_KOBJECT_UEVENT));
  int ends[2];
  MustFail("a pair of netlink sockets", socketpair(AF_NETLINK, SOCK_RAW, 0, ends));
}

// Looking at routes is allowed, making interfaces and addresses is not.
static void ChangeRoutes(void) {
  const int line = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (line < 0) {
    Refused("route netlink", errno);
    return;
  }
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct rtattr attribute;
    char name[16];
  } request;
  memset(&request, 0, sizeof request);
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_index = 1;
  request.attribute.rta_type = IFLA_IFNAME;
  request.attribute.rta_len = RTA_LENGTH(sizeof "attack");
  strcpy(request.name, "attack");
  char reply[4096];
  if (send(line, &request, sizeof request, 0) < 0 || recv(line, reply, sizeof reply, 0) < 0) {
    Refused("a new name of the loopback", errno);
    return;
  }
  const struct nlmsghdr* header = (const struct nlmsghdr*)reply;
  const struct nlmsgerr* error = NLMSG_DATA(header);
  errno = -error->error;
  MustFail("a new name of the loopback", error->error == 0 ? 0 : -1);
  const int plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq interface = {0};
  strcpy(interface.ifr_name, "lo");
  interface.ifr_mtu = 1400;
  MustFail("another size of packets", ioctl(plain, SIOCSIFMTU, &interface));
}

static void OpenPacketSockets(void) {
  MustFail("a packet socket, raw", socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
  MustFail("a packet socket, cooked", socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)));
  MustFail("a packet socket of old", socket(AF_INET, SOCK_PACKET, htons(ETH_P_ALL)));
  MustFail("a raw socket of ICMP", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  MustFail("a raw socket of all", socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW));
  MustFail("a raw socket of IPv6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  MustFail("a raw socket with upper bits",
           syscall(SYS_socket, AF_INET, 1L << 32 | SOCK_RAW, IPPROTO_RAW));
}

static void OpenOddFamilies(void) {
  for (long family = 0; family < 64; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK) {
      continue;
    }
    static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET};
    for (size_t index = 0; index < sizeof kTypes / sizeof kTypes[0]; ++index) {
      char what[64];
      snprintf(what, sizeof what, "socket family %ld, type %d", family, kTypes[index]);
      const long plain = syscall(SYS_socket, family, kTypes[index], 0);
      if (plain >= 0) Through("%s", what);
      const long upper = syscall(SYS_socket, 0xffffffffL << 32 | family, kTypes[index], 0);
      if (upper >= 0) Through("%s with upper bits", what);
      int ends[2];
      if (socketpair((int)family, kTypes[index], 0, ends) == 0) Through("%s, a pair", what);
    }
  }
  Refused("61 families of sockets in 5 types", errno);
}

// 0 when something listens there.
static int Connect(int family, int type, const char* address, int port, int wait_ms) {
  union {
    struct sockaddr plain;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
  } to;
  memset(&to, 0, sizeof to);
  to.plain.sa_family = (sa_family_t)family;
  if (family == AF_INET) {
    to.four.sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, address, &to.four.sin_addr);
  } else {
    to.six.sin6_port = htons((uint16_t)port);
    inet_pton(AF_INET6, address, &to.six.sin6_addr);
  }
  const int line = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (line < 0) return errno;
  int error =
      connect(line, &to.plain, family == AF_INET ? sizeof to.four : sizeof to.six) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    struct pollfd writable = {line, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (poll(&writable, 1, wait_ms) == 0)
      error = ETIMEDOUT;
    else
      getsockopt(line, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  // A connection to its own port is nobody's answer.
  struct sockaddr_in6 mine, theirs;
  socklen_t mine_size = sizeof mine, theirs_size = sizeof theirs;
  memset(&mine, 0, sizeof mine);
  memset(&theirs, 0, sizeof theirs);
  if (error == 0 && type == SOCK_STREAM &&
      getsockname(line, (struct sockaddr*)&mine, &mine_size) == 0 &&
      getpeername(line, (struct sockaddr*)&theirs, &theirs_size) == 0 &&
      memcmp(&mine, &theirs, sizeof mine) == 0) {
    error = ECONNREFUSED;
  }
  close(line);
  return error;
}

static void TryLoopback(int port) {
  if (Connect(AF_INET, SOCK_STREAM, "127.0.0.1", port, 1000) == 0) {
    Through("port %d of the loopback", port);
  }
  if (Connect(AF_INET6, SOCK_STREAM, "::1", port, 1000) == 0) {
    Through("port %d of the loopback of IPv6", port);
  }
}

// The loopback inside is another one: whatever listens on the host's does not answer. The proxy's
// forwarder does where the network is that of the proxy.
static void ScanLoopback(void) {
  const int forwarder = getenv("http_proxy") != NULL ? 3128 : 0;
  int listening = 0;
  static char list[1 << 18];
  static const char* const kLists[] = {"/proc/net/tcp", "/proc/net/tcp6"};
  for (size_t index = 0; index < sizeof kLists / sizeof kLists[0]; ++index) {
    if (ReadText(kLists[index], list, sizeof list) < 0) {
      Refused(kLists[index], errno);
      continue;
    }
    for (char *line = list, *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
      unsigned port, state;
      // Addresses have 8 digits or 32; state 0A is listening.
      if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &port, &state) != 2) continue;
      if (state != 0x0a || (int)port == forwarder) continue;
      ++listening;
      TryLoopback((int)port);
    }
  }
  for (int port = 1; port < 10000 && SecondsPassed() < 8; ++port) {
    if (port != forwarder) TryLoopback(port);
  }
  char what[64];
  snprintf(what, sizeof what, "ports of the loopback (%d listed)", listening);
  RefusedBy(what, "ECONNREFUSED");
}

// Addresses where clouds tell secrets to any process, and some of the world.
static void ReachAddresses(void) {
  static const struct {
    const char* address;
    int port;
  } kPlaces[] = {{"169.254.169.254", 80}, {"169.254.170.2", 80},       {"100.100.100.200", 80},
                 {"fd00:ec2::254", 80},   {"10.0.0.1", 443},           {"172.17.0.1", 2375},
                 {"192.168.0.1", 80},     {"10.96.0.1", 443},          {"8.8.8.8", 53},
                 {"1.1.1.1", 443},        {"2001:4860:4860::8888", 53}};
  for (size_t index = 0; index < sizeof kPlaces / sizeof kPlaces[0]; ++index) {
    const char* address = kPlaces[index].address;
    const int family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
    for (int datagram = 0; datagram < 2; ++datagram) {
      char what[96];
      snprintf(what, sizeof what, "%s port %d by %s", address, kPlaces[index].port,
               datagram ? "UDP" : "TCP");
      const int error =
          Connect(family, datagram ? SOCK_DGRAM : SOCK_STREAM, address, kPlaces[index].port, 700);
      // A datagram socket connects as soon as there is a route.
      if (error == 0) Through("%s", what);
      Refused(what, error);
    }
  }
}

const struct Attack kNetworkAttacks[] = {
    {"vsock", OpenVsock},
    {"netlink", OpenNetlink},
    {"route_change", ChangeRoutes},
    {"packet_sockets", OpenPacketSockets},
    {"odd_socket_families", OpenOddFamilies},
    {"host_loopback", ScanLoopback},
    {"metadata_addresses", ReachAddresses},
    {NULL, NULL},
};
