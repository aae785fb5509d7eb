// Export and import of 1,000 tasks without proofs: tasks a second, and the memory of it.
// Run: exchange_bench [TASKS [FILES]] (preset release with TASKMINT_BENCHMARKS=ON).
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "orchestrator/export.h"
#include "orchestrator/import.h"
#include "proto/base/clock.h"
#include "tests/datasets/sample_task.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::orchestrator {
namespace {

using datasets::ExportFormat;
using datasets::Store;

int64_t PeakMebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

int64_t CpuMs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& time) { return time.tv_sec * 1'000 + time.tv_usec / 1'000; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

// On a machine with other work the processors' time says more than the wall's.
void Report(const char* what, int64_t tasks, int64_t wall_ms) {
  static int64_t cpu_ms_before = CpuMs();
  const int64_t cpu_ms = CpuMs() - cpu_ms_before;
  cpu_ms_before += cpu_ms;
  if (tasks == 0) return;
  const auto rate = [&](int64_t ms) {
    return 1'000.0 * static_cast<double>(tasks) / static_cast<double>(std::max<int64_t>(1, ms));
  };
  std::printf(
      "%-16s %6lld tasks %7lld ms %6.0f tasks/s; processors %7lld ms %6.0f tasks/s; "
      "peak %lld MiB\n",
      what, static_cast<long long>(tasks), static_cast<long long>(wall_ms), rate(wall_ms),
      static_cast<long long>(cpu_ms), rate(cpu_ms), static_cast<long long>(PeakMebibytes()));
  std::fflush(stdout);
}

std::unique_ptr<Store> MakeStore(const std::string& path, const Clock& clock, int tasks,
                                 int files) {
  auto store = Store::Open(path, datasets::OpenMode::kCreate, clock).value();
  v1::Job job;
  job.set_category(v1::CATEGORY_CODE);
  job.set_source("bench");
  for (int i = 0; i < tasks; ++i) {
    const datasets::ExportedTask sample = datasets::SampleTask(i, files);
    datasets::PutSample(store->blobs(), sample);
    TASKMINT_CHECK(store->AddKept("bench", job, sample.kept).value());
  }
  return store;
}

int Main(int tasks, int files) {
  const datasets::TemporaryFolder folder;
  const SystemClock clock;
  const std::unique_ptr<Store> store = MakeStore(folder.path() + "/store", clock, tasks, files);
  std::printf("%d tasks of %d files, peak %lld MiB before\n", tasks, files,
              static_cast<long long>(PeakMebibytes()));
  Report("making the store", 0, 0);
  for (const ExportFormat format : {ExportFormat::kHarbor, ExportFormat::kSwebench}) {
    const std::string name = datasets::ExportFormatName(format);
    ExportRequest request;
    request.format = format;
    request.out = folder.path() + "/" + name;
    request.name = "taskmint/bench";
    request.split = "train";
    request.choice.near_duplicates_ok = true;  // they are
    request.jobs = std::max(1U, std::thread::hardware_concurrency());
    const ExportSummary exported = ExportTasks(*store, request, nullptr, nullptr, {}).value();
    TASKMINT_CHECK(static_cast<int>(exported.tasks.size()) == tasks);
    Report(("export " + name).c_str(), tasks, exported.wall_ms);

    auto other = Store::Open(request.out + "-store", datasets::OpenMode::kCreate, clock).value();
    const auto foreign = datasets::ForeignFolder::Open(request.out).value();
    const auto places = datasets::FindForeignTasks(*foreign).value();
    const ImportSummary imported = ImportTasks(*other, *foreign, places, nullptr, {}).value();
    TASKMINT_CHECK(static_cast<int>(imported.imported.size()) == tasks);
    Report(("import " + name).c_str(), tasks, imported.wall_ms);
  }
  return 0;
}

}  // namespace
}  // namespace taskmint::orchestrator

int main(int argc, char** argv) {
  const int tasks = argc > 1 ? std::atoi(argv[1]) : 1'000;
  const int files = argc > 2 ? std::atoi(argv[2]) : 30;
  return taskmint::orchestrator::Main(std::max(1, tasks), std::max(1, files));
}
