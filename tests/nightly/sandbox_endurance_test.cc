// Thousands of sandboxes, one after the other and beside each other, leave nothing behind.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/nightly/host_holdings.h"
#include "tests/nightly/sandbox_episodes.h"
#include "tests/sandbox/host_view.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kEpisodes = 20'000;
// What the allocator keeps differs from run to run; 20,000 episodes that leak 1 KiB each do not
// pass.
constexpr int64_t kMemoryToleranceKib = 8 * 1024;
constexpr size_t kFailuresMax = 20;
constexpr int64_t kTellMs = 60'000;

// TASKMINT_EPISODES, or the default.
int64_t EpisodesAsked() {
  const char* asked = std::getenv("TASKMINT_EPISODES");
  if (asked == nullptr || *asked == '\0') return kEpisodes;
  char* end = nullptr;
  const int64_t episodes = std::strtoll(asked, &end, 10);
  if (*end == '\0' && episodes > 0 && episodes <= 100'000'000) return episodes;
  ADD_FAILURE() << "TASKMINT_EPISODES wants a number of episodes, and is " << asked;
  return 0;
}

int64_t Threads() { return 2 * std::max<int64_t>(1, std::thread::hardware_concurrency()); }

// Runs episodes, the kinds in turn, in several threads.
class Endurance {
 public:
  Endurance(SandboxHost& host, std::vector<EpisodeKind> kinds)
      : host_(host), kinds_(std::move(kinds)) {}

  size_t kinds() const { return kinds_.size(); }

  // What went wrong, a line each.
  std::vector<std::string> Run(int64_t episodes) {
    next_ = 0;
    begun_ms_ = told_ms_ = NowMs();
    {
      std::vector<std::jthread> threads;
      for (int64_t i = 0; i < Threads(); ++i) threads.emplace_back([&] { Work(episodes); });
    }
    return std::exchange(failures_, {});
  }

  // The kinds that took longest, in milliseconds a piece.
  std::string Slowest() const {
    std::multimap<int64_t, std::string, std::greater<>> by_time;
    for (const auto& [name, spent] : spent_) by_time.emplace(spent.ms / spent.episodes, name);
    std::string text;
    int left = 8;
    for (const auto& [ms, name] : by_time) {
      if (left-- > 0) text += name + " " + std::to_string(ms) + " ms, ";
    }
    return text.substr(0, text.size() - std::min<size_t>(2, text.size()));
  }

 private:
  struct Spent {
    int64_t ms = 0;
    int64_t episodes = 0;
  };

  void Work(int64_t episodes) {
    while (true) {
      const int64_t number = next_++;
      if (number >= episodes) return;
      const EpisodeKind& kind = kinds_[static_cast<size_t>(number) % kinds_.size()];
      const int64_t begin_ms = NowMs();
      const std::string failure = kind.run(host_);
      const int64_t now_ms = NowMs();
      const std::lock_guard lock(mutex_);
      Spent& spent = spent_[kind.name];
      spent.ms += now_ms - begin_ms;
      ++spent.episodes;
      if (!failure.empty()) {
        failures_.push_back("episode " + std::to_string(number) + ", " + kind.name + ": " +
                            failure);
      }
      if (failures_.size() >= kFailuresMax) next_ = episodes;
      if (now_ms - told_ms_ < kTellMs) continue;
      told_ms_ = now_ms;
      std::printf("%lld of %lld episodes, %.1f a second\n", static_cast<long long>(number),
                  static_cast<long long>(episodes),
                  1000.0 * static_cast<double>(number) / static_cast<double>(now_ms - begun_ms_));
      std::fflush(stdout);
    }
  }

  SandboxHost& host_;
  const std::vector<EpisodeKind> kinds_;
  std::atomic<int64_t> next_ = 0;
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::map<std::string, Spent> spent_;
  int64_t begun_ms_ = 0;
  int64_t told_ms_ = 0;
};

std::string Text(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(SandboxEnduranceTest, GoodAndHostileEpisodesLeaveTheMachineAsItWas) {
  const int64_t episodes = EpisodesAsked();
  ASSERT_GT(episodes, 0);
  AdoptOrphans();
  const auto host = MakeBubblewrapHost();
  ASSERT_TRUE(host.ok()) << host.status().ToString();
  Endurance endurance(**host, EpisodeKinds());
  // Each kind once in each thread's share: what is made once in a process is there afterwards.
  ASSERT_EQ(Text(endurance.Run(static_cast<int64_t>(endurance.kinds()))), "");
  ReapOrphans();
  const HostHoldings before = HostHoldings::Look();
  const int64_t begin_ms = NowMs();
  EXPECT_EQ(Text(endurance.Run(episodes)), "");
  const int64_t taken_ms = std::max<int64_t>(1, NowMs() - begin_ms);
  HostHoldings after;
  int64_t orphans = 0;
  const auto nothing_is_left = [&] {
    orphans += ReapOrphans();
    after = HostHoldings::Look();
    return Leftovers(before, after).empty();
  };
  EXPECT_TRUE(Eventually(nothing_is_left)) << Text(Leftovers(before, after));
  EXPECT_LE(after.resident_kib, before.resident_kib + kMemoryToleranceKib);
  EXPECT_LE(after.set_kib, before.set_kib + kMemoryToleranceKib);
  std::printf(
      "%lld episodes in %lld s, %.1f a second; resident %lld KiB before, %lld after; "
      "proportional %lld, %lld; %lld ended ones adopted; slowest: %s\n",
      static_cast<long long>(episodes), static_cast<long long>(taken_ms / 1000),
      1000.0 * static_cast<double>(episodes) / static_cast<double>(taken_ms),
      static_cast<long long>(before.resident_kib), static_cast<long long>(after.resident_kib),
      static_cast<long long>(before.set_kib), static_cast<long long>(after.set_kib),
      static_cast<long long>(orphans), endurance.Slowest().c_str());
}

}  // namespace
}  // namespace taskmint::sandbox
