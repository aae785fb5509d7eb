// What an episode costs beside the commands of its agent and of its tests: open, three tool calls,
// grade, close; and what many open ones hold.
//
//   episode_bench STORE TASK_ID [ROUNDS] [OPEN_AT_ONCE]
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "orchestrator/episode_desk.h"
#include "proto/base/clock.h"

namespace taskmint {
namespace {

using orchestrator::EpisodeDesk;

double Ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Memory of a process in KiB: a field of its smaps_rollup.
int64_t MemoryKiB(const std::string& pid, const std::string& field) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(field)) return std::atoll(line.c_str() + field.size());
  }
  return 0;
}

// Of this process and all below it: their number, and a field's sum.
std::pair<int64_t, int64_t> FamilyMemoryKiB(const std::string& field) {
  std::multimap<std::string, std::string> children;
  DIR* const folder = opendir("/proc");
  while (const dirent* entry = readdir(folder)) {
    std::ifstream stat(std::string("/proc/") + entry->d_name + "/stat");
    std::string text;
    if (!std::getline(stat, text)) continue;
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) continue;
    const std::string rest = text.substr(name_end + 4);
    children.emplace(rest.substr(0, rest.find(' ')), entry->d_name);
  }
  closedir(folder);
  std::vector<std::string> family = {std::to_string(getpid())};
  int64_t sum = 0;
  for (size_t i = 0; i < family.size(); ++i) {
    sum += MemoryKiB(family[i], field);
    const auto [begin, end] = children.equal_range(family[i]);
    for (auto it = begin; it != end; ++it) family.push_back(it->second);
  }
  return {static_cast<int64_t>(family.size()), sum};
}

template <typename T>
T Must(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::fprintf(stderr, "episode_bench: %s\n", result.status().ToString().c_str());
  std::exit(1);
}

struct Parts {
  std::map<std::string, std::vector<double>> ms;
  void Add(const std::string& name, double value) { ms[name].push_back(value); }
  void Print() {
    std::printf("%-28s %9s %9s %9s\n", "ms", "median", "p90", "max");
    for (auto& [name, values] : ms) {
      std::sort(values.begin(), values.end());
      std::printf("%-28s %9.2f %9.2f %9.2f\n", name.c_str(), values[values.size() / 2],
                  values[values.size() * 9 / 10], values.back());
    }
  }
};

void PlayOnce(EpisodeDesk& desk, const std::string& task, Parts& parts) {
  const double begun = Ms();
  const auto opened = Must(desk.Open(task, "bench", 0, {}));
  const double open = Ms();
  double commands = 0;
  const char* calls[][2] = {{"bash", "{\"command\":\"true\"}"},
                            {"read_file", "{\"path\":\"pyproject.toml\"}"},
                            {"edit_file", "{\"path\":\"new.txt\",\"old\":\"\",\"new\":\"new\"}"}};
  for (const auto& [tool, arguments] : calls) {
    const double start = Ms();
    const v1::Step step = Must(desk.CallTool(opened.id, tool, arguments, {}));
    parts.Add(std::string("2 call ") + tool, Ms() - start);
    commands += static_cast<double>(step.wall_ms());
  }
  const double called = Ms();
  const v1::Trajectory graded = Must(desk.Grade(opened.id, {}));
  const double end_of_grade = Ms();
  static_cast<void>(desk.Close(opened.id));
  const double closed = Ms();
  const auto tests = static_cast<double>(graded.verdict().wall_ms());
  parts.Add("1 open", open - begun);
  parts.Add("3 grade", end_of_grade - called);
  parts.Add("4 of it the test runs", tests);
  parts.Add("5 grade beside the runs", end_of_grade - called - tests);
  parts.Add("6 close", closed - end_of_grade);
  parts.Add("7 all beside tests and tools", closed - begun - tests - commands);
}

int Run(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "episode_bench STORE TASK_ID [ROUNDS] [OPEN_AT_ONCE]\n");
    return 2;
  }
  const SystemClock clock;
  const auto store = Must(datasets::Store::Open(argv[1], datasets::OpenMode::kReadWrite, clock));
  const auto sandboxes = Must(sandbox::MakeBubblewrapHost());
  EpisodeDesk desk(*store, *sandboxes, clock, {});
  Parts warm;
  PlayOnce(desk, argv[2], warm);
  Parts parts;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 20;
  for (int i = 0; i < rounds; ++i) PlayOnce(desk, argv[2], parts);
  parts.Print();

  const int at_once = argc > 4 ? std::atoi(argv[4]) : 500;
  const int64_t rss_before = FamilyMemoryKiB("Rss:").second;
  const int64_t pss_before = FamilyMemoryKiB("Pss:").second;
  const double begun = Ms();
  std::vector<std::string> ids;
  for (int i = 0; i < at_once; ++i) {
    ids.push_back(Must(desk.Open(argv[2], "bench", 0, {})).id);
    Must(desk.CallTool(ids.back(), "bash", "{\"command\":\"true\"}", {}));
  }
  const double opened = Ms();
  const auto [processes, rss] = FamilyMemoryKiB("Rss:");
  const int64_t pss = FamilyMemoryKiB("Pss:").second;
  std::printf(
      "%d open: %.1f ms each to open and call once, %lld processes, %.2f MB RSS and "
      "%.2f MB PSS each\n",
      at_once, (opened - begun) / at_once, static_cast<long long>(processes),
      static_cast<double>(rss - rss_before) / 1024 / at_once,
      static_cast<double>(pss - pss_before) / 1024 / at_once);
  return 0;
}

}  // namespace
}  // namespace taskmint

int main(int argc, char** argv) { return taskmint::Run(argc, argv); }
