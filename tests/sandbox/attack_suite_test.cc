// Every program of tests/attacks, as this user and as an ordinary one, and what comes through where
// a wall is left out.
#include "sandbox/attack_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "sandbox/bubblewrap.h"
#include "sandbox/fd.h"
#include "sandbox/host_traces.h"
#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

using ::testing::IsEmpty;

std::vector<Attack> AllAttacks() {
  auto attacks = ReadAttacks();
  EXPECT_TRUE(attacks.ok()) << attacks.status().ToString();
  return attacks.ok() ? std::move(*attacks) : std::vector<Attack>();
}

// "name: why" of those that were not contained; `contained`, where given, gets the others' names.
std::vector<std::string> Uncontained(SandboxHost& host, const std::vector<Attack>& attacks,
                                     std::vector<std::string>* contained = nullptr) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::vector<std::string> failures;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(2U, std::thread::hardware_concurrency()); ++i) {
      threads.emplace_back([&] {
        for (size_t number; (number = next++) < attacks.size();) {
          const auto outcome = RunAttack(host, attacks[number], {});
          const std::lock_guard lock(mutex);
          if (!outcome.ok())
            failures.push_back(attacks[number].name + ": " + outcome.status().ToString());
          else if (!outcome->contained)
            failures.push_back(attacks[number].name + ": " + outcome->detail);
          else if (contained != nullptr)
            contained->push_back(attacks[number].name);
        }
      });
    }
  }
  return failures;
}

// Runs a command again and again while it lives.
class Watcher {
 public:
  Watcher() : sandbox_(OpenSandbox()), thread_([this](std::stop_token stop) { Watch(stop); }) {}
  int64_t runs() const { return runs_; }

 private:
  void Watch(const std::stop_token& stop) {
    for (; !stop.stop_requested(); ++runs_) {
      Command command = Shell("echo unharmed > /tmp/f && cat /tmp/f");
      EXPECT_EQ(RunIn(*sandbox_, command).output, "unharmed\n");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  std::unique_ptr<Sandbox> sandbox_;
  std::atomic<int64_t> runs_ = 0;
  std::jthread thread_;
};

TEST(AttackSuiteTest, TheTableIsWhole) {
  const std::vector<Attack> attacks = AllAttacks();
  EXPECT_GE(attacks.size(), 60U);
  std::map<std::string, int> classes;
  std::set<std::string> names;
  for (const Attack& attack : attacks) {
    ++classes[attack.attack_class];
    EXPECT_TRUE(names.insert(attack.name).second) << attack.name;
    EXPECT_FALSE(attack.note.empty()) << attack.name;
  }
  EXPECT_EQ(classes.size(), 4U);
  for (const char* one : {"resources", "lifetime", "escape", "integrity"}) {
    EXPECT_GE(classes[one], 5) << one;
  }
}

TEST(AttackSuiteTest, EveryAttackIsContainedAndABystanderNoticesNothing) {
  std::vector<Attack> attacks = AllAttacks();
  const bool counts_memory = FindCgroupHome().kind != CgroupHome::Kind::kNone;
  // Without control groups memory is limited for each process and file system alone, and `doctor`
  // says so.
  if (!counts_memory) {
    std::erase_if(attacks, [](const Attack& attack) { return attack.wall == "memory limit"; });
  }
  OpenSandbox();  // what stays of a first one is no trace of an attack
  const HostTraces before = HostTraces::Look();
  {
    const Watcher watcher;
    EXPECT_THAT(Uncontained(TestHost(), attacks), IsEmpty());
    EXPECT_GE(watcher.runs(), 10);
  }
  EXPECT_THAT(HostTraces::Look().ChangesSince(before), IsEmpty());
}

TEST(AttackSuiteTest, AnOrdinaryUserIsContainedLikewise) {
  if (::geteuid() != 0) return;  // the test above was it
  EXPECT_EQ(RunAsOrdinaryUser("*ABystander*"), 0) << "see above";
}

struct Canary {
  const char* wall;
  Walls walls;
  std::function<void(Attack&)> lift = [](Attack&) {};
};

class CanaryTest : public testing::TestWithParam<Canary> {};

// A suite that cannot fail proves nothing.
TEST_P(CanaryTest, WithoutItsWallAnAttackComesThrough) {
  const Canary& canary = GetParam();
  if (!canary.walls.user_drop && ::geteuid() != 0) return;  // there is nothing to drop
  std::vector<Attack> attacks = AllAttacks();
  std::erase_if(attacks, [&](const Attack& attack) {
    return !attack.is_canary || attack.wall != canary.wall;
  });
  ASSERT_FALSE(attacks.empty());
  for (Attack& attack : attacks) canary.lift(attack);
  // What is to be found where the network is this machine's.
  const UniqueFd port(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd named(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!canary.walls.network_namespace) {
    sockaddr_in loopback{};
    loopback.sin_family = AF_INET;
    loopback.sin_port = htons(4711);
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(port.get(), reinterpret_cast<sockaddr*>(&loopback), sizeof loopback), 0);
    ASSERT_EQ(::listen(port.get(), 16), 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "taskmint-attack-canary";
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(named.get(), reinterpret_cast<sockaddr*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
              0);
    ASSERT_EQ(::listen(named.get(), 16), 0);
  }
  const auto host = MakeHostWithWalls(canary.walls);
  ASSERT_TRUE(host.ok()) << host.status().ToString();
  std::vector<std::string> contained;
  Uncontained(**host, attacks, &contained);
  EXPECT_THAT(contained, IsEmpty()) << "the wall does not matter to them";
}

template <typename... Wall>
Walls Without(Wall... left_out) {
  Walls walls;
  ((walls.*left_out = false), ...);
  return walls;
}

INSTANTIATE_TEST_SUITE_P(
    AttackSuite, CanaryTest,
    testing::Values(
        Canary{"seccomp", Without(&Walls::system_call_filter)},
        // Abstract sockets have the second wall before them, too.
        Canary{"net namespace", Without(&Walls::network_namespace, &Walls::second)},
        Canary{"uid drop", Without(&Walls::user_drop)},
        Canary{"pids limit",
               {},
               [](Attack& attack) {
                 attack.spec.limits.processes_max = 30'000;
                 attack.command.wall_ms_max = 20'000;  // thousands take a busy machine a while
               }},
        Canary{"tmpfs limit",
               {},
               [](Attack& attack) {
                 attack.spec.limits.disk_bytes_max = int64_t{8} << 30;
                 attack.spec.limits.memory_bytes_max = int64_t{8} << 30;
               }},
        Canary{"output limit",
               {},
               [](Attack& attack) {
                 attack.command.written_bytes_max = int64_t{1} << 40;
                 attack.command.wall_ms_max = 30'000;
               }}),
    [](const auto& one) {
      std::string name = one.param.wall;
      std::erase(name, ' ');
      return name;
    });

}  // namespace
}  // namespace taskmint::sandbox
