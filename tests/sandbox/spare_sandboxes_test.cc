// Sandboxes opened ahead: as fresh as any, and gone when nobody wants them.
#include "sandbox/spare_sandboxes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

// The real host, which counts, and refuses while `broken`.
class CountingHost : public SandboxHost {
 public:
  Result<std::unique_ptr<Sandbox>> Open(const SandboxSpec& spec, std::stop_token stop) override {
    if (broken) return Status(Code::kUnavailable, Boundary::kSandbox, "broken");
    ++opened;
    return TestHost().Open(spec, std::move(stop));
  }
  std::atomic<int> opened = 0;
  std::atomic<bool> broken = false;
};

void Await(const SpareSandboxes& spares, size_t count) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (spares.spares() != count) {
    // A spare that could not be opened is not tried again before somebody asks.
    ASSERT_LT(std::chrono::steady_clock::now(), end) << spares.spares() << " of " << count;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(SpareSandboxesTest, AKindThatIsAskedForAgainHasSparesAndEachIsFresh) {
  CountingHost host;
  SpareSandboxes spares(host);
  auto first = spares.Open({}, {}).value();
  EXPECT_EQ(spares.spares(), 0U) << "once is no habit";
  RunIn(*first, Shell("touch /work/mine /tmp/mine; sleep 1000 &"));
  auto second = spares.Open({}, {}).value();
  Await(spares, 2);
  EXPECT_EQ(host.opened, 4);
  host.broken = true;
  for (int i = 0; i < 2; ++i) {
    const auto spare = spares.Open({}, {});
    ASSERT_TRUE(spare.ok());
    EXPECT_EQ(RunIn(**spare, Shell("ls /work /tmp; set -- /proc/[0-9]*; echo $#")).output,
              "/tmp:\n\n/work:\n2\n");
  }
  EXPECT_EQ(spares.Open({}, {}).status().code(), Code::kUnavailable);
}

TEST(SpareSandboxesTest, AnotherSpecIsAnotherKind) {
  CountingHost host;
  SpareSandboxes spares(host);
  SandboxSpec one;
  one.variables["NAME"] = "one";
  for (int i = 0; i < 2; ++i) spares.Open(one, {}).value();
  Await(spares, 2);
  SandboxSpec other = one;
  other.variables["NAME"] = "other";
  EXPECT_EQ(RunIn(*spares.Open(other, {}).value(), Shell("echo $NAME")).output, "other\n");
  EXPECT_EQ(RunIn(*spares.Open(one, {}).value(), Shell("echo $NAME")).output, "one\n");
}

TEST(SpareSandboxesTest, WhatCanBeWrittenOutsideHasNoSpares) {
  CountingHost host;
  SpareSandboxes spares(host);
  SandboxSpec spec;
  const std::string folder = testing::TempDir() + "spare_sandboxes_" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
  spec.mounts.push_back({folder, "/out", true});
  for (int i = 0; i < 3; ++i) spares.Open(spec, {}).value();
  EXPECT_EQ(spares.spares(), 0U);
  EXPECT_EQ(host.opened, 3);
  EXPECT_EQ(::rmdir(folder.c_str()), 0);
  // What belongs to everybody would be given to one sandbox's user.
  spec.mounts[0].host_path = "/tmp";
  EXPECT_EQ(host.Open(spec, {}).status().code(), Code::kInvalidArgument);
}

TEST(SpareSandboxesTest, SparesThatNobodyWantsAreClosed) {
  CountingHost host;
  SpareLimits limits;
  limits.idle_ms_max = 2'000;
  SpareSandboxes spares(host, limits);
  for (int i = 0; i < 2; ++i) spares.Open({}, {}).value();
  Await(spares, 2);
  Await(spares, 0);
}

TEST(SpareSandboxesTest, ManyMayAskAtOnce) {
  CountingHost host;
  SpareSandboxes spares(host);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 4; ++round) {
        const auto opened = spares.Open({}, {});
        ASSERT_TRUE(opened.ok()) << opened.status().ToString();
        EXPECT_EQ(RunIn(**opened, Shell("ls /work; touch /work/mine")).output, "");
      }
    });
  }
}

}  // namespace
}  // namespace taskmint::sandbox
