// How fast the store is: list and filters over 10,000 tasks, a layer of 1,200 files, the ledger.
// Run: store_bench (preset release with TASKMINT_BENCHMARKS=ON).
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>

#include "datasets/store.h"
#include "proto/base/random.h"
#include "tests/datasets/sample_run.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

constexpr int64_t kTasks = 10'000;
constexpr int kLayerFiles = 1'200;

v1::Candidate FinishedCandidate(int64_t position) {
  const std::string number = std::to_string(position);
  v1::Candidate candidate = SampleCandidate("run", position);
  const bool kept = position % 4 != 0;
  candidate.set_state(kept ? v1::Candidate::STATE_KEPT : v1::Candidate::STATE_REJECTED);
  if (!kept) candidate.set_reason("oracle: no test fails before and passes after");
  v1::Task& task = *candidate.mutable_task();
  if (kept) task.set_id(Sha256Hex("task " + number));
  task.set_category(v1::CATEGORY_CODE);
  task.set_language("python");
  task.mutable_prompt()->set_text("Fix number " + number + std::string(1'500, 'p'));
  task.mutable_licence()->set_spdx_id("MIT");
  task.mutable_solution()->set_patch_digest(Sha256Hex("patch " + number));
  for (int i = 0; i < 200; ++i) {
    task.mutable_verifier()->mutable_tests()->add_pass_to_pass("tests/test_a.py::test_" +
                                                               std::to_string(i));
  }
  return candidate;
}

// One store for all measurements: making it takes seconds.
Store& LargeStore() {
  static const auto* const folder = new TemporaryFolder;
  static const auto* const clock = new SystemClock;
  static Store* const store = [] {
    auto opened = Store::Open(folder->path() + "/store", OpenMode::kCreate, *clock).value();
    v1::Job job;
    job.set_category(v1::CATEGORY_CODE);
    job.set_source("/src/large");
    std::vector<v1::Candidate> candidates;
    for (int64_t i = 0; i < kTasks; ++i) candidates.push_back(FinishedCandidate(i));
    TASKMINT_CHECK(opened->CreateRun("run", job, candidates, {}).ok());
    return opened.release();
  }();
  return *store;
}

void List(benchmark::State& state, const std::string& where) {
  Store& store = LargeStore();
  size_t rows = 0;
  for (auto _ : state) rows = store.List(Store::Which::kAll, where).value().size();
  state.counters["rows"] = static_cast<double>(rows);
}
BENCHMARK_CAPTURE(List, all, "")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(List, by_reason, "reason LIKE 'oracle%'")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(List, by_prompt, "kept AND prompt LIKE '%number 77%'")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(List, by_numbers, "pass_to_pass > 100 AND fail_to_pass = 0 AND language='python'")
    ->Unit(benchmark::kMillisecond);

void Funnel(benchmark::State& state) {
  Store& store = LargeStore();
  for (auto _ : state) benchmark::DoNotOptimize(store.Funnel().value());
}
BENCHMARK(Funnel)->Unit(benchmark::kMillisecond);

void FindById(benchmark::State& state) {
  Store& store = LargeStore();
  const std::string id = Sha256Hex("task 4321").substr(0, 12);
  for (auto _ : state) benchmark::DoNotOptimize(store.FindById(id).value());
}
BENCHMARK(FindById)->Unit(benchmark::kMicrosecond);

// About 15 MB in 1,200 files, half of it well compressible, as a Python layer is.
FileTree Layer(int salt) {
  Random random(static_cast<uint64_t>(salt));
  FileTree tree;
  for (int i = 0; i < kLayerFiles; ++i) {
    std::string content(2'000 + random.Below(20'000), 'x');
    for (size_t at = 0; at < content.size(); at += 2) {
      content[at] = static_cast<char>('a' + random.Below(26));
    }
    const std::string path =
        "lib/p" + std::to_string(i % 40) + "/sub/m" + std::to_string(i) + ".py";
    TASKMINT_CHECK(tree.Set(path, RegularFile(std::move(content))).ok());
  }
  return tree;
}

void PutNewLayer(benchmark::State& state) {
  const TemporaryFolder folder;
  BlobStore blobs(folder.path() + "/blobs");
  int salt = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const FileTree tree = Layer(++salt);
    state.ResumeTiming();
    benchmark::DoNotOptimize(blobs.PutTree(tree).value());
  }
}
BENCHMARK(PutNewLayer)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

void PutStoredLayer(benchmark::State& state) {
  const TemporaryFolder folder;
  BlobStore blobs(folder.path() + "/blobs");
  const FileTree tree = Layer(0);
  TASKMINT_CHECK(blobs.PutTree(tree).ok());
  for (auto _ : state) benchmark::DoNotOptimize(blobs.PutTree(tree).value());
}
BENCHMARK(PutStoredLayer)->Unit(benchmark::kMillisecond)->UseRealTime();

void GetLayer(benchmark::State& state) {
  const TemporaryFolder folder;
  BlobStore blobs(folder.path() + "/blobs");
  const std::string digest = blobs.PutTree(Layer(0)).value();
  for (auto _ : state) benchmark::DoNotOptimize(blobs.GetTree(digest).value());
}
BENCHMARK(GetLayer)->Unit(benchmark::kMillisecond)->UseRealTime();

void MaterializeLayer(benchmark::State& state) {
  const TemporaryFolder folder;
  BlobStore blobs(folder.path() + "/blobs");
  const std::string digest = blobs.PutTree(Layer(0)).value();
  int number = 0;
  for (auto _ : state) {
    const std::string cache = folder.path() + "/cache" + std::to_string(++number);
    TASKMINT_CHECK(blobs.Materialize(digest, cache).ok());
  }
}
BENCHMARK(MaterializeLayer)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(10);

void ClaimAndComplete(benchmark::State& state) {
  const TemporaryFolder folder;
  const SystemClock clock;
  const auto store = Store::Open(folder.path() + "/s", OpenMode::kCreate, clock).value();
  TASKMINT_CHECK(CreateSampleRun(*store, "run", 20'000).ok());
  for (auto _ : state) {
    const auto claimed = store->ledger().Claim("run", "w", 60'000, 1 << 30).value();
    if (!claimed.has_value()) break;
    TASKMINT_CHECK(store->ledger().Complete(*claimed, SampleCommit(*claimed)).ok());
  }
}
BENCHMARK(ClaimAndComplete)->Unit(benchmark::kMicrosecond)->UseRealTime()->Iterations(2'000);

}  // namespace
}  // namespace taskmint::datasets

BENCHMARK_MAIN();
