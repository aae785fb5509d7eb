#include "sandbox/host_connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "proto/base/clock.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

// A network of its own, with settings of its own for it: `etc` is put over /etc.
bool EnterNetworkWith(const std::string& etc) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount(etc.c_str(), "/etc", nullptr, MS_BIND, nullptr) != 0) {
    return false;
  }
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq loopback{};
  std::string("lo").copy(loopback.ifr_name, sizeof loopback.ifr_name - 1);
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &loopback) == 0;
}

UniqueFd SilentNameServer() {
  UniqueFd server(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return server;
}

TEST(HostConnectionTest, ANameServerThatIsSilentHoldsNobodyUp) {
  if (::geteuid() != 0) return;  // port 53
  static constexpr char kSettings[] = "nameserver 127.0.0.1\noptions timeout:20 attempts:1\n";
  if (std::ifstream file("/etc/resolv.conf");
      std::string(std::istreambuf_iterator<char>(file), {}) != kSettings) {
    const HostFolder folder;
    std::ofstream(folder.path() + "/resolv.conf") << kSettings;
    std::ofstream(folder.path() + "/nsswitch.conf") << "hosts: files dns\n";
    EXPECT_EQ(RunAgain("HostConnectionTest.ANameServer*",
                       [&] { return EnterNetworkWith(folder.path()); }),
              0)
        << "see above";
    return;
  }
  const UniqueFd server = SilentNameServer();
  const UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  const std::jthread stopper([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const uint64_t one = 1;
    EXPECT_EQ(::write(stop.get(), &one, sizeof one), ssize_t{sizeof one});
  });
  const int64_t begin_ms = SystemClock().MonotonicMs();
  EXPECT_FALSE(ConnectToHost({"silent.example", 80}, Addresses::kAny, stop.get()).valid());
  EXPECT_LT(SystemClock().MonotonicMs() - begin_ms, 10'000) << "the name server's 20 s";
  char asked[512];
  EXPECT_GT(::recv(server.get(), asked, sizeof asked, MSG_DONTWAIT), 0) << "it was not asked";
}

}  // namespace
}  // namespace taskmint::sandbox
