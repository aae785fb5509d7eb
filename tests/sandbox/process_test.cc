#include "sandbox/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace taskmint::sandbox {
namespace {

SpawnRequest RequestFor(const std::string& program) {
  SpawnRequest request;
  request.program = program;
  return request;
}

TEST(ProcessTest, WhatIsMissingIsAnError) {
  const Result<ChildProcess> child = Spawn(RequestFor("/no/such/program"));
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.status().code(), Code::kUnavailable);
  EXPECT_NE(child.status().message().find("/no/such/program"), std::string::npos);
}

std::atomic<int> handled = 0;

// A child that begins shares this process's memory for a moment, and gets the group's signals, too.
TEST(ProcessTest, ASignalToTheGroupIsHandledOnceWhileChildrenBegin) {
  ASSERT_EQ(::setpgid(0, 0), 0);
  struct sigaction action {
  }, former{};
  action.sa_handler = [](int) { ++handled; };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &former), 0);
  std::atomic<bool> done = false;
  std::atomic<int> sent = 0;
  std::jthread sender([&] {
    while (!done) {
      ++sent;
      ::kill(0, SIGUSR1);
      // The next would be lost while this one waits.
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  for (int i = 0; i < 400; ++i) {
    Result<ChildProcess> child = Spawn(RequestFor("/bin/true"));
    ASSERT_TRUE(child.ok()) << child.status().ToString();
    EXPECT_TRUE(child->Wait(10'000));
  }
  done = true;
  sender.join();
  ::sigaction(SIGUSR1, &former, nullptr);
  EXPECT_GT(handled, 0);
  EXPECT_LE(handled, sent);
}

}  // namespace
}  // namespace taskmint::sandbox
