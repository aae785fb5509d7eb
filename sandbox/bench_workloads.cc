#include "sandbox/bench_workloads.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "proto/base/file_tree.h"
#include "proto/base/utf8.h"
#include "sandbox/bubblewrap.h"
#include "sandbox/sandbox_bench.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kRunMsMax = 300'000;

constexpr char kSource[] = R"(#include <algorithm>
#include <map>
#include <string>
#include <vector>

int CountWords(const std::vector<std::string>& words, std::map<std::string, int>& counts) {
  for (const std::string& word : words) ++counts[word];
  std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.second > b.second; });
  return sorted.empty() ? 0 : sorted.front().second;
}
)";

// Much of what tests do with the kernel: many small files, some processes, some computing.
constexpr char kSuite[] = R"(import hashlib, json, os, re, subprocess, tempfile, unittest


class Suite(unittest.TestCase):
    pass


def add(number):
    def test(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in range(20):
                path = os.path.join(folder, str(name))
                with open(path, "w") as file:
                    json.dump({"number": number, "values": list(range(100))}, file)
                with open(path) as file:
                    self.assertEqual(json.load(file)["number"], number)
            self.assertEqual(len(os.listdir(folder)), 20)
        text = " ".join(str(n) for n in range(2000))
        self.assertEqual(len(re.findall(r"\b7\d*\b", text)), 111)
        self.assertEqual(len(hashlib.sha256(text.encode()).hexdigest()), 64)
        if number % 10 == 0:
            subprocess.run(["true"], check=True)

    setattr(Suite, f"test_{number:03}", test)


for number in range(100):
    add(number)
)";

struct Workload {
  WorkloadCost cost;
  Command command;
  std::vector<double> with_ms;
  std::vector<double> without_ms;
  std::vector<double> ratios;
};

// What both sandboxes are; the packages of the host's Python are seen, since pytest is one.
SandboxSpec SpecOfBoth() {
  SandboxSpec spec;
  std::erase_if(spec.masked_paths, [](const std::string& path) {
    return path.find("-packages") != std::string::npos;
  });
  return spec;
}

Limits NeverMet() {
  Limits limits;
  limits.processes_max = 1'000'000;
  limits.memory_bytes_max = int64_t{1} << 46;
  limits.disk_bytes_max = int64_t{1} << 46;
  limits.inodes_max = 100'000'000;
  limits.file_bytes_max = int64_t{1} << 46;
  limits.open_files_max = 1 << 20;
  return limits;
}

Result<bool> Works(Sandbox& sandbox, const std::vector<std::string>& argv,
                   const std::stop_token& stop) {
  Command command;
  command.argv = argv;
  const auto result = sandbox.Run(command, stop);
  if (result.ok()) return result->exit_code == 0 && result->signal == 0;
  if (result.status().code() == Code::kNotFound) return false;
  return result.status();
}

// What there is to run in such a sandbox.
Result<std::vector<Workload>> FindWorkloads(Sandbox& sandbox, const std::stop_token& stop) {
  Workload compile;
  compile.cost.name = "compile";
  compile.command.argv = {"c++", "-O1", "-c", "-o", "/tmp/words.o", "words.cc"};
  TASKMINT_ASSIGN_OR_RETURN(const bool compiles, Works(sandbox, {"c++", "--version"}, stop));
  compile.cost.program = "c++";
  if (!compiles) compile.cost.missing = "no c++ in /usr/bin";
  Workload tests;
  tests.cost.name = "tests";
  TASKMINT_ASSIGN_OR_RETURN(const bool python, Works(sandbox, {"python3", "-c", ""}, stop));
  if (!python) tests.cost.missing = "no python3 in /usr/bin";
  TASKMINT_ASSIGN_OR_RETURN(const bool pytest,
                            Works(sandbox, {"python3", "-c", "import pytest"}, stop));
  tests.cost.program = pytest ? "pytest" : "unittest";
  tests.command.argv = {"python3", "-m", "unittest", "-q", "test_suite"};
  if (pytest) tests.command.argv = {"python3", "-m", "pytest", "-q", "test_suite.py"};
  return std::vector<Workload>{std::move(compile), std::move(tests)};
}

Result<std::unique_ptr<Sandbox>> OpenWithFiles(const Walls& walls, const SandboxSpec& spec,
                                               const std::stop_token& stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto host, MakeHostWithWalls(walls));
  TASKMINT_ASSIGN_OR_RETURN(auto sandbox, host->Open(spec, stop));
  FileTree tree;
  TASKMINT_RETURN_IF_ERROR(tree.Set("words.cc", RegularFile(kSource)));
  TASKMINT_RETURN_IF_ERROR(tree.Set("test_suite.py", RegularFile(kSuite)));
  TASKMINT_RETURN_IF_ERROR(sandbox->Put(tree, "/work", 0));
  return sandbox;
}

// Milliseconds; 0 where it failed, which `workload` then tells.
Result<double> RunOnce(Sandbox& sandbox, Workload& workload, const std::stop_token& stop) {
  Command command = workload.command;
  command.wall_ms_max = kRunMsMax;
  const auto begin = std::chrono::steady_clock::now();
  TASKMINT_ASSIGN_OR_RETURN(const CommandResult result, sandbox.Run(command, stop));
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
  if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kSandbox, "cancelled");
  if (result.ending == Ending::kExited && result.exit_code == 0) return taken.count();
  workload.cost.missing = "failed: " + std::string(CauseOf(result)) + ", " +
                          Printable((result.error_output + result.output).substr(0, 200));
  return 0;
}

Status RunPair(Sandbox& walled, Sandbox& open, bool walled_first, bool counts, Workload& workload,
               const std::stop_token& stop) {
  double with_ms = 0;
  double without_ms = 0;
  for (const bool walls : {walled_first, !walled_first}) {
    TASKMINT_ASSIGN_OR_RETURN((walls ? with_ms : without_ms),
                              RunOnce(walls ? walled : open, workload, stop));
    if (!workload.cost.missing.empty()) return OkStatus();
  }
  if (!counts) return OkStatus();
  workload.with_ms.push_back(with_ms);
  workload.without_ms.push_back(without_ms);
  workload.ratios.push_back(with_ms / without_ms);
  return OkStatus();
}

}  // namespace

int64_t WorkloadRounds(int64_t rounds) { return 2 * (rounds + 1); }

Result<std::vector<WorkloadCost>> MeasureWorkloads(int64_t rounds,
                                                   const std::function<void(int64_t)>& done,
                                                   const std::stop_token& stop) {
  SandboxSpec spec = SpecOfBoth();
  TASKMINT_ASSIGN_OR_RETURN(const auto walled, OpenWithFiles({}, spec, stop));
  spec.limits = NeverMet();
  Walls walls;
  walls.system_call_filter = false;
  TASKMINT_ASSIGN_OR_RETURN(const auto open, OpenWithFiles(walls, spec, stop));
  TASKMINT_ASSIGN_OR_RETURN(std::vector<Workload> workloads, FindWorkloads(*walled, stop));
  std::vector<WorkloadCost> costs;
  int64_t told = 0;
  // The first round of each warms the machine's caches and does not count.
  for (int64_t round = 0; round <= rounds; ++round) {
    for (Workload& workload : workloads) {
      if (workload.cost.missing.empty()) {
        TASKMINT_RETURN_IF_ERROR(
            RunPair(*walled, *open, round % 2 == 0, round > 0, workload, stop));
      }
      done(++told);
    }
  }
  for (Workload& workload : workloads) {
    if (workload.cost.missing.empty() && !workload.ratios.empty()) {
      workload.cost.rounds = rounds;
      workload.cost.with_median_ms = MedianOf(workload.with_ms);
      workload.cost.without_median_ms = MedianOf(workload.without_ms);
      workload.cost.cost_percent = 100 * (MedianOf(workload.ratios) - 1);
      const MedianInterval interval = MedianIntervalOf(workload.ratios);
      workload.cost.cost_low_percent = 100 * (interval.low - 1);
      workload.cost.cost_high_percent = 100 * (interval.high - 1);
    }
    costs.push_back(std::move(workload.cost));
  }
  return costs;
}

}  // namespace taskmint::sandbox
