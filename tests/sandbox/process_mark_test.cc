// Whose leftovers may be taken away.
#include "sandbox/process_mark.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace taskmint::sandbox {
namespace {

std::string MarkOf(pid_t pid) {
  const std::string own = ProcessMark();
  return own.substr(0, own.rfind('-') + 1) + std::to_string(pid) + "-7";
}

TEST(ProcessMarkTest, TheDeadAreKnownAndTheLivingSpared) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_FALSE(IsOfDeadProcess(MarkOf(child)));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(IsOfDeadProcess(MarkOf(child)));
  EXPECT_FALSE(IsOfDeadProcess(ProcessMark()));
}

TEST(ProcessMarkTest, OtherMachinesAndNonsenseAreNobodysDead) {
  const std::string other = "00000000" + MarkOf(999'999'999).substr(8);
  for (const std::string& text : {other, std::string("999999999-1"), std::string(), MarkOf(0)}) {
    EXPECT_FALSE(IsOfDeadProcess(text)) << text;
  }
}

}  // namespace
}  // namespace taskmint::sandbox
