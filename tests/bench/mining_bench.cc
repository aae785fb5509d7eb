// The four runs of a candidate (one before the fix, three after) against a plain baseline.
//
//   mining_bench REPOSITORY ROWS.json OUT.json [JOBS [FULL_SUITE_SECONDS]]
//
// ROWS.json is what the baseline wrote for the same repository: rows [commit, subject, verdict,
// fail-to-pass, pass-to-pass, pass-to-fail, seconds]. Each commit that the baseline calls valid is
// prepared here (environment built, not timed), then its four runs are timed as the gate makes
// them: extraction into two sandboxes, one run of the same test files in the first and three in the
// second, the third in shuffled order, sentinels included. OUT.json: rows [commit, baseline
// seconds, our seconds, baseline fail-to-pass, our fail-to-pass, tests, full-suite seconds, plain
// full-suite seconds, why it was left out]; the last line printed is the ratio over the commits on
// which both agree. One run of the whole suite, at most FULL_SUITE_SECONDS (300; 0: none), is timed
// apart, and so is a plain one: the same environment and files, a fresh sandbox, python -m pytest.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "datasets/blob_store.h"
#include "environments/repository/candidate.h"
#include "proto/base/json.h"
#include "sandbox/sandbox.h"
#include "verifier/grading.h"

namespace taskmint {
namespace {

using Seconds = std::chrono::duration<double>;
double Now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Row {
  std::string commit;
  double baseline_s = 0;
  int64_t baseline_fail_to_pass = 0;
  double ours_s = 0;
  double full_suite_s = 0;
  double plain_suite_s = 0;
  int64_t fail_to_pass = 0;
  int64_t tests = 0;
  std::string skipped;  // why it was not compared
};

struct Shared {
  std::string repository;
  std::string folder;
  sandbox::SandboxHost& sandboxes;
  sandbox::BaseLayer base;
  const environments::LanguageDriver& driver;
  datasets::BlobStore blobs;
  int64_t full_suite_ms_max;
  std::mutex building;
};

Result<environments::BuiltEnvironment> Prepare(Shared& shared,
                                               const environments::Proposal& proposal) {
  const std::lock_guard lock(shared.building);
  const environments::DriverContext context{shared.sandboxes, shared.base,
                                            shared.folder + "/downloads"};
  v1::RepositorySettings settings;
  settings.set_test_wall_ms_max(600'000);
  TASKMINT_ASSIGN_OR_RETURN(const auto recipe, shared.driver.Resolve(context, proposal.parent_tree,
                                                                     proposal.commit.author_time_s,
                                                                     settings, std::stop_token()));
  TASKMINT_ASSIGN_OR_RETURN(
      const auto layers,
      shared.driver.Build(context, recipe, proposal.parent_tree, settings, std::stop_token()));
  environments::BuiltEnvironment built;
  for (const auto& layer : layers) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string digest, shared.blobs.PutTree(layer.tree));
    TASKMINT_ASSIGN_OR_RETURN(
        std::string path,
        shared.blobs.Materialize(digest, shared.folder + "/layers", [&](const auto& folder) {
          return shared.driver.DerivedFiles(shared.sandboxes, {folder, layer.mount_path, false},
                                            {});
        }));
    built.layers.push_back({std::move(path), layer.mount_path, false});
  }
  return built;
}

int64_t CountFailToPass(const verifier::Observation& before, const verifier::Observation& after) {
  int64_t count = 0;
  for (const auto& [id, status] : after.tests) {
    const auto it = before.tests.find(id);
    const bool passed_before = it != before.tests.end() && it->second == v1::TEST_STATUS_PASSED;
    count += status == v1::TEST_STATUS_PASSED && !passed_before;
  }
  return count;
}

// The whole suite as anybody would run it, in the same environment.
Status RunPlainly(Shared& shared, const verifier::GradingBench& bench,
                  const environments::Proposal& proposal) {
  sandbox::SandboxSpec spec;
  spec.mounts = bench.built.layers;
  spec.variables = {{"PATH", "/venv/bin:/usr/bin:/bin"}, {"PYTHONHASHSEED", "0"}};
  TASKMINT_ASSIGN_OR_RETURN(const auto opened, shared.sandboxes.Open(spec, {}));
  TASKMINT_RETURN_IF_ERROR(
      opened->Put(verifier::GradedState(bench, proposal.gold_tree), "/work", 1'577'836'800));
  sandbox::Command command;
  command.argv = {"/venv/bin/python",          "-m", "pytest", "-q", "-p", "no:cacheprovider",
                  "--junitxml=/tmp/report.xml"};
  command.wall_ms_max = shared.full_suite_ms_max;
  return opened->Run(command, {}).status();
}

Status Measure(Shared& shared, environments::GitRepository& repository, Row& row) {
  TASKMINT_ASSIGN_OR_RETURN(const auto info, repository.ReadCommit(row.commit));
  TASKMINT_ASSIGN_OR_RETURN(
      const auto outcome,
      environments::Propose(repository, shared.driver, {row.commit, info.parents.at(0)}, {}, {}));
  const environments::Proposal& proposal = outcome.proposal;
  if (proposal.test_files.empty()) {
    return {Code::kFailedPrecondition, Boundary::kEnvironment, outcome.refusal.detail};
  }
  TASKMINT_ASSIGN_OR_RETURN(const auto built, Prepare(shared, proposal));
  v1::RepositoryEnvironment environment;
  environment.set_work_path("/work");
  environment.set_driver(std::string(shared.driver.language()));
  const verifier::GradingBench bench{
      shared.driver,    shared.sandboxes,       environment,         built,
      proposal.overlay, proposal.removed_paths, proposal.parent_tree};
  constexpr int64_t kWallMs = 120'000;
  const double start = Now();
  verifier::Observer before(bench, proposal.parent_tree);
  verifier::Observer gold(bench, proposal.gold_tree);
  gold.Open({});
  before.Open({});
  const auto after = gold.Observe(proposal.test_files, std::nullopt, kWallMs, {});
  const auto first = before.Observe(proposal.test_files, std::nullopt, kWallMs, {});
  (void)gold.Observe(proposal.test_files, std::nullopt, kWallMs, {});
  const auto shuffled = gold.Observe(proposal.test_files, uint64_t{7}, kWallMs, {});
  row.ours_s = Now() - start;
  if (after.trust != verifier::Observation::Trust::kTrusted ||
      shuffled.trust != verifier::Observation::Trust::kTrusted) {
    return {Code::kFailedPrecondition, Boundary::kVerifier, after.reason};
  }
  row.fail_to_pass = CountFailToPass(first, after);
  row.tests = static_cast<int64_t>(after.tests.size());
  if (shared.full_suite_ms_max > 0) {
    const double full = Now();
    (void)gold.Observe({}, std::nullopt, shared.full_suite_ms_max, {});
    row.full_suite_s = Now() - full;
    const double plain = Now();
    TASKMINT_RETURN_IF_ERROR(RunPlainly(shared, bench, proposal));
    row.plain_suite_s = Now() - plain;
  }
  return OkStatus();
}

void Work(Shared& shared, std::vector<Row>& rows, std::atomic<size_t>& next) {
  auto repository = environments::GitRepository::Open(shared.repository);
  if (!repository.ok()) {
    std::fprintf(stderr, "%s\n", repository.status().ToString().c_str());
    return;
  }
  for (size_t i = next++; i < rows.size(); i = next++) {
    const Status status = Measure(shared, **repository, rows[i]);
    if (!status.ok()) rows[i].skipped = status.message();
    std::fprintf(stderr, "%s baseline %.2f s, ours %.2f s, full suite %.2f s, plain %.2f s %s\n",
                 rows[i].commit.substr(0, 12).c_str(), rows[i].baseline_s, rows[i].ours_s,
                 rows[i].full_suite_s, rows[i].plain_suite_s,
                 rows[i].skipped.substr(0, 200).c_str());
  }
}

std::vector<Row> ReadRows(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::vector<Row> rows;
  const auto parsed = ParseJson(text.str());
  if (!parsed.ok()) return rows;
  for (const auto& entry : *parsed) {
    if (entry.at(2) != "valid") continue;
    Row row;
    row.commit = entry.at(0).get<std::string>();
    row.baseline_fail_to_pass = entry.at(3).get<int64_t>();
    row.baseline_s = entry.at(6).get<double>();
    rows.push_back(row);
  }
  return rows;
}

void Report(const std::vector<Row>& rows, const char* path) {
  nlohmann::json out = nlohmann::json::array();
  double baseline_s = 0;
  double ours_s = 0;
  double full_suite_s = 0;
  double plain_suite_s = 0;
  int compared = 0;
  for (const Row& row : rows) {
    out.push_back({row.commit, row.baseline_s, row.ours_s, row.baseline_fail_to_pass,
                   row.fail_to_pass, row.tests, row.full_suite_s, row.plain_suite_s, row.skipped});
    if (!row.skipped.empty() || row.fail_to_pass != row.baseline_fail_to_pass) continue;
    baseline_s += row.baseline_s;
    ours_s += row.ours_s;
    full_suite_s += row.full_suite_s;
    plain_suite_s += row.plain_suite_s;
    ++compared;
  }
  std::ofstream(path) << DumpJson(out, true) << "\n";
  if (full_suite_s > 0) {
    std::printf("full suite of these: plain %.2f s, ours %.2f s, ratio %.2f\n", plain_suite_s,
                full_suite_s, plain_suite_s / full_suite_s);
  }
  std::printf(
      "%d of %zu commits agree on fail-to-pass; four runs: baseline %.2f s, ours %.2f s, "
      "ratio %.2f\n",
      compared, rows.size(), baseline_s, ours_s, ours_s > 0 ? baseline_s / ours_s : 0.0);
}

int Main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: mining_bench REPOSITORY ROWS.json OUT.json [JOBS [FULL_SUITE_SECONDS]]\n");
    return 2;
  }
  auto sandboxes = sandbox::MakeBubblewrapHost();
  auto base = sandbox::ReadBaseLayer();
  if (!sandboxes.ok() || !base.ok()) {
    std::fprintf(stderr, "%s\n",
                 (sandboxes.ok() ? base.status() : sandboxes.status()).ToString().c_str());
    return 1;
  }
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("mining-bench-" + std::to_string(getpid())))
          .string();
  std::filesystem::create_directories(folder);
  Shared shared{argv[1],
                folder,
                **sandboxes,
                *base,
                *environments::FindDriver("python"),
                datasets::BlobStore(folder + "/blobs"),
                (argc > 5 ? std::atoll(argv[5]) : 300) * 1000,
                {}};
  std::vector<Row> rows = ReadRows(argv[2]);
  std::atomic<size_t> next = 0;
  {
    std::vector<std::jthread> workers;
    const int jobs = argc > 4 ? std::atoi(argv[4]) : 1;
    for (int i = 0; i < jobs; ++i) workers.emplace_back([&] { Work(shared, rows, next); });
  }
  Report(rows, argv[3]);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}

}  // namespace
}  // namespace taskmint

int main(int argc, char** argv) { return taskmint::Main(argc, argv); }
