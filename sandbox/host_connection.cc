#include "sandbox/host_connection.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "proto/base/utf8.h"
#include "sandbox/socket_server.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kConnectMsMax = 15'000;
constexpr int64_t kLookUpMsMax = 30'000;

struct AddressBlock {
  uint32_t first;
  int prefix_bits;
};

constexpr uint32_t AddressOf(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

// RFC 6890 and its updates; 168.63.129.16 is a cloud's metadata service.
constexpr std::array kPrivateBlocks = {
    AddressBlock{AddressOf(0, 0, 0, 0), 8},       AddressBlock{AddressOf(10, 0, 0, 0), 8},
    AddressBlock{AddressOf(100, 64, 0, 0), 10},   AddressBlock{AddressOf(127, 0, 0, 0), 8},
    AddressBlock{AddressOf(169, 254, 0, 0), 16},  AddressBlock{AddressOf(172, 16, 0, 0), 12},
    AddressBlock{AddressOf(192, 0, 0, 0), 24},    AddressBlock{AddressOf(192, 0, 2, 0), 24},
    AddressBlock{AddressOf(192, 88, 99, 0), 24},  AddressBlock{AddressOf(192, 168, 0, 0), 16},
    AddressBlock{AddressOf(198, 18, 0, 0), 15},   AddressBlock{AddressOf(198, 51, 100, 0), 24},
    AddressBlock{AddressOf(203, 0, 113, 0), 24},  AddressBlock{AddressOf(224, 0, 0, 0), 3},
    AddressBlock{AddressOf(168, 63, 129, 16), 32}};

bool IsPublicV4(uint32_t address) {
  return std::none_of(kPrivateBlocks.begin(), kPrivateBlocks.end(), [&](const AddressBlock& block) {
    return ((address ^ block.first) >> (32 - block.prefix_bits)) == 0;
  });
}

bool IsPublicV6(const std::array<uint8_t, 16>& bytes) {
  const auto last_four = AddressOf(bytes[12], bytes[13], bytes[14], bytes[15]);
  const auto begins = [&](std::initializer_list<uint8_t> prefix) {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
  };
  const bool is_mapped = begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF});
  const bool is_translated = begins({0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0});
  if (is_mapped || is_translated) return IsPublicV4(last_four);
  if ((bytes[0] & 0xE0) != 0x20) return false;  // 2000::/3 is all that is global unicast
  // Teredo and other protocol assignments, documentation, 6to4.
  const bool is_special = (begins({0x20, 0x01}) && (bytes[2] & 0xFE) == 0) ||
                          begins({0x20, 0x01, 0x0D, 0xB8}) || begins({0x20, 0x02}) ||
                          (begins({0x3F, 0xFF}) && (bytes[2] & 0xF0) == 0);
  return !is_special;
}

// The addresses of a name, found by a thread that may be left to itself.
struct Lookup {
  ~Lookup() {
    if (found != nullptr) ::freeaddrinfo(found);
  }
  void Find(const char* name, uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    if (::getaddrinfo(name, std::to_string(port).c_str(), &hints, &found) != 0) found = nullptr;
  }
  addrinfo* found = nullptr;
  const UniqueFd done{::eventfd(0, EFD_CLOEXEC)};
};

// Null where nothing is found in time. Name servers may take as long as they like, and nothing
// stops getaddrinfo.
std::shared_ptr<const Lookup> LookUp(const AllowedHost& target, int stop_fd) {
  auto lookup = std::make_shared<Lookup>();
  // RFC 6761, 6.3: localhost is this machine, also where no hosts file says so.
  if (LowerCase(target.host) == "localhost")
    lookup->Find(nullptr, target.port, 0);
  else
    lookup->Find(target.host.c_str(), target.port, AI_NUMERICHOST);
  if (lookup->found != nullptr) return lookup;
  try {
    std::thread([lookup, target] {
      lookup->Find(target.host.c_str(), target.port, 0);
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t told = ::write(lookup->done.get(), &one, sizeof one);
    }).detach();
  } catch (const std::system_error&) {
    return nullptr;  // no thread is left
  }
  uint64_t ended = 0;
  if (!AwaitSocket(lookup->done.get(), POLLIN, stop_fd, kLookUpMsMax) ||
      ::read(lookup->done.get(), &ended, sizeof ended) != sizeof ended) {
    return nullptr;
  }
  return lookup;
}

}  // namespace

void AllowedHosts::Add(AllowedHost host, Addresses addresses) {
  host.host = LowerCase(std::move(host.host));
  const std::lock_guard lock(mutex_);
  for (Row& row : rows_) {
    if (row.host.host != host.host || row.host.port != host.port) continue;
    if (addresses == Addresses::kAny) row.addresses = addresses;
    return;
  }
  rows_.push_back({std::move(host), addresses});
}

std::optional<Addresses> AllowedHosts::Find(const AllowedHost& host) const {
  const std::lock_guard lock(mutex_);
  for (const Row& row : rows_) {
    if (row.host.host == host.host && row.host.port == host.port) return row.addresses;
  }
  return std::nullopt;
}

size_t AllowedHosts::size() const {
  const std::lock_guard lock(mutex_);
  return rows_.size();
}

bool IsPublicAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    return IsPublicV4(ntohl(v4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return false;
  sockaddr_in6 v6;
  std::memcpy(&v6, &address, sizeof v6);
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return IsPublicV6(bytes);
}

UniqueFd ConnectToHost(const AllowedHost& target, Addresses addresses, int stop_fd) {
  const std::shared_ptr<const Lookup> lookup = LookUp(target, stop_fd);
  if (lookup == nullptr) return {};
  for (const addrinfo* each = lookup->found; each != nullptr; each = each->ai_next) {
    if (addresses == Addresses::kPublic && !IsPublicAddress(*each->ai_addr)) continue;
    UniqueFd fd(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) continue;
    if (::connect(fd.get(), each->ai_addr, each->ai_addrlen) == 0) return fd;
    int error = 0;
    socklen_t size = sizeof error;
    if (errno == EINPROGRESS && AwaitSocket(fd.get(), POLLOUT, stop_fd, kConnectMsMax) &&
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
      return fd;
    }
  }
  return {};
}

}  // namespace taskmint::sandbox
