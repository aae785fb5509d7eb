// How long it takes to find the near-duplicates among 10,000 code tasks, and in how much memory.
// Run: near_duplicates_bench [--write FILE] (preset release with TASKMINT_BENCHMARKS=ON). --write
// also writes the masked documents as JSON lines {"id", "text"}, for near_duplicates_rival.py,
// which does the same with datasketch's MinHashLSH.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "datasets/near_duplicates.h"
#include "proto/base/random.h"

namespace taskmint::datasets {
namespace {

constexpr int kTasks = 10'000;
constexpr int kNearOnesPerMille = 10;

// CPU time: machines have other work as well.
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1'024;
}

// Words of falling frequency, as in prose and code.
std::string Word(Random& random) {
  const uint64_t rank = random.Below(1 + random.Below(1 + random.Below(20'000)));
  std::string word;
  for (uint64_t rest = rank + 26; rest > 0; rest /= 26) {
    word += static_cast<char>('a' + rest % 26);
  }
  return word;
}

std::string Line(Random& random, size_t words) {
  std::string line;
  for (size_t i = 0; i < words; ++i) {
    line += (i == 0 ? "" : " ") + Word(random);
    if (random.Below(12) == 0) line += "(" + std::to_string(random.Below(1'000)) + ")";
    if (random.Below(20) == 0) line += " \"" + Word(random) + "\"";
  }
  return line;
}

// A prompt of 40 to 240 words and a patch of 1 to 4 files.
std::string TaskText(Random& random) {
  const std::string prompt = Line(random, 40 + random.Below(200));
  std::string patch;
  for (uint64_t files = 1 + random.Below(4); files > 0; --files) {
    const std::string path = "src/" + Word(random) + "/" + Word(random) + ".py";
    patch += "diff --git a/" + path + " b/" + path + "\nindex 3fa94c1..77ab012 100644\n--- a/" +
             path + "\n+++ b/" + path + "\n";
    for (uint64_t hunks = 1 + random.Below(4); hunks > 0; --hunks) {
      patch += "@@ -" + std::to_string(random.Below(900)) + ",7 +" +
               std::to_string(random.Below(900)) + ",9 @@ def " + Word(random) + "(self):\n";
      for (uint64_t lines = 8 + random.Below(12); lines > 0; --lines) {
        constexpr char kMarks[] = {' ', ' ', ' ', '+', '-'};
        patch += kMarks[random.Below(sizeof kMarks)];
        patch += "    " + Line(random, 3 + random.Below(6)) + "\n";
      }
    }
  }
  return CodeTaskText(prompt, patch);
}

// One word in a hundred replaced.
std::string NearOne(Random& random, const std::string& text) {
  std::string near;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size() - 1) + 1;
    near += random.Below(100) == 0 ? Word(random) + " " : text.substr(at, end - at);
    at = end;
  }
  return near;
}

std::vector<Document> Tasks() {
  Random random(1);
  std::vector<Document> tasks;
  for (int i = 0; i < kTasks; ++i) {
    const bool near = i > 0 && random.Below(1'000) < kNearOnesPerMille;
    tasks.push_back({std::to_string(i),
                     near ? NearOne(random, tasks[random.Below(i)].text) : TaskText(random)});
  }
  return tasks;
}

int Bench(const std::string& write_path) {
  const std::vector<Document> tasks = Tasks();
  size_t bytes = 0;
  for (const Document& task : tasks) bytes += task.text.size();
  if (!write_path.empty()) {
    std::ofstream file(write_path);
    for (const Document& task : tasks) {
      file << nlohmann::json{{"id", task.id}, {"text", MaskLiterals(task.text)}}.dump() << "\n";
    }
  }
  const int64_t before_bytes = PeakBytes();
  const double begin_s = CpuSeconds();
  size_t shingles = 0;
  for (const Document& task : tasks) shingles += ShinglesOf(task.text).size();
  const double shingling_s = CpuSeconds() - begin_s;
  const std::vector<NearPair> pairs = FindNearDuplicates(tasks);
  const double all_s = CpuSeconds() - begin_s - shingling_s;
  std::printf("%d documents, %.1f MB, %zu shingles, %zu near-duplicates\n", kTasks,
              static_cast<double>(bytes) / 1e6, shingles, pairs.size());
  std::printf(
      "masking and shingling %.2f s CPU; all of it %.2f s CPU; peak %.0f MB above the texts\n",
      shingling_s, all_s, static_cast<double>(PeakBytes() - before_bytes) / 1e6);
  return 0;
}

}  // namespace
}  // namespace taskmint::datasets

int main(int argc, char** argv) {
  const bool writes = argc == 3 && std::string(argv[1]) == "--write";
  if (argc != 1 && !writes) {
    std::fprintf(stderr, "usage: near_duplicates_bench [--write FILE]\n");
    return 2;
  }
  return taskmint::datasets::Bench(writes ? argv[2] : "");
}
