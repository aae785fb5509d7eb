// Whose memory ran out: the group's, or the machine's.
#include "sandbox/cgroup.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kSmall = 32 << 20;
constexpr int64_t kLarge = int64_t{1} << 30;

// A group that stands for the machine: those made below it share its memory.
class Machine {
 public:
  Machine(const CgroupHome& home, int64_t memory_bytes) : home_(home) {
    folder_ = home.memory_folder + "/taskmint-" + std::to_string(::getpid()) + "-machine";
    EXPECT_TRUE(std::filesystem::create_directory(folder_));
    if (home.kind == CgroupHome::Kind::kV2) {
      Write("cgroup.subtree_control", "+memory +pids");
      Write("memory.max", std::to_string(memory_bytes));
      Write("memory.swap.max", "0");
    } else {
      Write("memory.limit_in_bytes", std::to_string(memory_bytes));
      Write("memory.memsw.limit_in_bytes", std::to_string(memory_bytes));
    }
    home_.memory_folder = folder_;
  }
  ~Machine() { ::rmdir(folder_.c_str()); }
  const CgroupHome& home() const { return home_; }

 private:
  void Write(const char* name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  CgroupHome home_;
  std::string folder_;
};

// Takes memory inside the group until it is killed; the signal.
int Fill(const Cgroup& group) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const std::string& path : group.JoinPaths()) {
      std::ofstream(path) << ::getpid() << std::endl;
    }
    constexpr size_t kBytes = 256 << 20;
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    ::_exit(memory == MAP_FAILED ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(KillLedgerTest, AHitAnswersForOneKillAndNotForever) {
  KillLedger ledger;
  EXPECT_FALSE(ledger.HasForeignKill(0, 0));
  EXPECT_TRUE(ledger.HasForeignKill(1, 0)) << "nothing of the group's asked for it";
  EXPECT_FALSE(ledger.HasForeignKill(1, 0)) << "told once";
  EXPECT_FALSE(ledger.HasForeignKill(1, 1)) << "counted, not yet killed";
  EXPECT_FALSE(ledger.HasForeignKill(2, 1));
  EXPECT_FALSE(ledger.HasForeignKill(3, 3)) << "the second kill is yet to come";
  EXPECT_FALSE(ledger.HasForeignKill(4, 3));
  EXPECT_TRUE(ledger.HasForeignKill(6, 4)) << "one of two is not the group's";
  // Two threads before one limit, of which one was killed.
  EXPECT_FALSE(ledger.HasForeignKill(7, 6));
  EXPECT_FALSE(ledger.HasForeignKill(7, 6));
  EXPECT_TRUE(ledger.HasForeignKill(8, 6));
}

TEST(CgroupTest, TheMachinesWantOfMemoryIsNotTheGroups) {
  const CgroupHome home = FindCgroupHome();
  if (home.kind == CgroupHome::Kind::kNone) {  // no group, no kills to tell apart
    auto group = Cgroup::Make(home, kSmall, 64);
    ASSERT_TRUE(group.ok()) << group.status().ToString();
    EXPECT_FALSE((*group)->limits_memory());
    EXPECT_FALSE((*group)->HostRanOutOfMemory());
    return;
  }
  const Machine machine(home, 2 * kSmall);
  {
    auto roomy = Cgroup::Make(machine.home(), kLarge, 64);
    ASSERT_TRUE(roomy.ok()) << roomy.status().ToString();
    EXPECT_FALSE((*roomy)->HostRanOutOfMemory());
    EXPECT_EQ(Fill(**roomy), SIGKILL);
    EXPECT_EQ((*roomy)->MemoryKills(), 1U);
    EXPECT_TRUE((*roomy)->HostRanOutOfMemory());
    EXPECT_FALSE((*roomy)->HostRanOutOfMemory()) << "told once";
  }
  auto tight = Cgroup::Make(machine.home(), kSmall, 64);
  ASSERT_TRUE(tight.ok()) << tight.status().ToString();
  EXPECT_EQ(Fill(**tight), SIGKILL);
  EXPECT_EQ((*tight)->MemoryKills(), 1U);
  EXPECT_FALSE((*tight)->HostRanOutOfMemory());
}

// A group that root gives to the ordinary user, and in which the next process begins.
class GivenGroup {
 public:
  explicit GivenGroup(const CgroupHome& home) {
    const std::string name = "/taskmint-" + std::to_string(::getpid()) + "-given";
    for (const std::string& parent : {home.memory_folder, home.processes_folder, home.cpu_folder}) {
      const std::string folder = parent + name;
      if (parent.empty() || ::mkdir(folder.c_str(), 0755) != 0) continue;
      folders_.push_back(folder);
      EXPECT_EQ(::chown(folder.c_str(), kOrdinaryUser, kOrdinaryUser), 0);
      for (const char* file : {"/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"}) {
        ::chown((folder + file).c_str(), kOrdinaryUser, kOrdinaryUser);
      }
      // As systemd marks what it gives.
      ::setxattr(folder.c_str(), "trusted.delegate", "1", 1, 0);
    }
  }
  ~GivenGroup() {
    for (const std::string& folder : folders_) {
      ::rmdir((folder + "/taskmint.processes").c_str());
      EXPECT_EQ(::rmdir(folder.c_str()), 0) << folder << ": something was left in it";
    }
  }
  void Join() const {
    for (const std::string& folder : folders_) std::ofstream(folder + "/cgroup.procs") << 0;
  }

 private:
  std::vector<std::string> folders_;
};

TEST(CgroupTest, WhoWasGivenAGroupHasItsLimits) {
  const CgroupHome home = FindCgroupHome();
  if (::geteuid() == 0) {
    if (home.kind == CgroupHome::Kind::kNone) return;  // there is none to give
    const GivenGroup given(home);
    EXPECT_EQ(RunAsOrdinaryUser("*WhoWasGivenAGroup*", [&] { given.Join(); }), 0) << "see above";
    return;
  }
  ASSERT_NE(home.kind, CgroupHome::Kind::kNone) << home.detail;
  SandboxSpec spec;
  spec.limits.memory_bytes_max = 128 << 20;
  const auto sandbox = OpenSandbox(spec);
  // Each of them is below the limit.
  const CommandResult result =
      RunIn(*sandbox, Shell("for i in 1 2 3 4; do python3 -c 'import time; kept = bytearray(60 << "
                            "20); time.sleep(2)' & done; wait; exit 3"));
  EXPECT_TRUE(result.hit_memory_max) << result.error_output;
  EXPECT_GT(result.memory_peak_bytes, 100 << 20);
}

}  // namespace
}  // namespace taskmint::sandbox
