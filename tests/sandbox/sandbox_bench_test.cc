#include "sandbox/sandbox_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

#include "sandbox/bench_rivals.h"
#include "tests/sandbox/host_view.h"

namespace taskmint::sandbox {
namespace {

using testing::Contains;
using testing::HasSubstr;

const StartRow* RowOf(const BenchReport& report, const std::string& name) {
  for (const StartRow& row : report.starts) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

TEST(SandboxBenchTest, EveryPartIsMeasuredAndEveryRowHasNumbersOrSaysWhyNot) {
  BenchPlan plan;
  plan.start_rounds = 3;
  plan.sustained_ms = 500;
  plan.open_at_once = 4;
  plan.workload_rounds = 1;
  std::set<std::string> parts;
  const auto report = MeasureSandbox(
      plan, [&](const std::string& part, int64_t, int64_t) { parts.insert(part); }, {});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(parts.size(), 4U);
  for (const char* name : {kSpawnRow, kBubblewrapRow, "runc", kOpenRow, kCloseRow, kExecRow}) {
    EXPECT_NE(RowOf(*report, name), nullptr) << name;
  }
  for (const StartRow& row : report->starts) {
    if (!row.missing.empty()) {
      EXPECT_EQ(row.samples, 0) << row.name;
      continue;
    }
    EXPECT_EQ(row.samples, row.name == kExecRow ? 15 : 3) << row.name;
    EXPECT_GT(row.median_ms, 0) << row.name;
    EXPECT_GE(row.p99_ms, row.median_ms) << row.name;
    EXPECT_GT(row.by_bubblewrap, 0) << row.name;
  }
  EXPECT_EQ(RowOf(*report, kBubblewrapRow)->by_bubblewrap, 1);
  ASSERT_EQ(report->sustained.size(), 2U);
  for (const SustainedRow& row : report->sustained) {
    // It lasted as long as it was told to, and each thread took part.
    EXPECT_GE(row.seconds, 0.5) << row.name;
    EXPECT_GE(row.runs, row.threads) << row.name;
    EXPECT_NEAR(row.runs_per_second, static_cast<double>(row.runs) / row.seconds, 0.01);
  }
  EXPECT_EQ(report->idle.sandboxes, 4) << report->idle.stopped_by;
  EXPECT_EQ(report->idle.processes, 2);
  EXPECT_GT(report->idle.set_kib, 0);
  EXPECT_GE(report->idle.set_kib, report->idle.anonymous_kib);
  ASSERT_EQ(report->workloads.size(), 2U);
  for (const WorkloadCost& cost : report->workloads) {
    if (!cost.missing.empty()) continue;
    EXPECT_EQ(cost.rounds, 1) << cost.name;
    EXPECT_GT(cost.with_median_ms, 0) << cost.name;
    EXPECT_GT(cost.without_median_ms, 0) << cost.name;
    EXPECT_LE(cost.cost_low_percent, cost.cost_percent) << cost.name;
    EXPECT_GE(cost.cost_high_percent, cost.cost_percent) << cost.name;
  }
}

TEST(SandboxBenchTest, APartLeftOutIsNotMeasured) {
  BenchPlan plan{0, 0, 2, 0};
  const auto report = MeasureSandbox(plan, [](const std::string&, int64_t, int64_t) {}, {});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_TRUE(report->starts.empty());
  EXPECT_TRUE(report->sustained.empty());
  EXPECT_TRUE(report->workloads.empty());
  EXPECT_EQ(report->idle.sandboxes, 2);
}

TEST(SandboxBenchTest, ARequestToStopEndsIt) {
  std::stop_source source;
  const auto report = MeasureSandbox(
      {}, [&](const std::string&, int64_t, int64_t) { source.request_stop(); }, source.get_token());
  EXPECT_EQ(report.status().code(), Code::kCancelled);
}

TEST(SandboxBenchTest, ARivalThatRefusesIsMarkedWithWhatItSaid) {
  const HostFolder folder;
  const std::string program = folder.Write("runc",
                                           "#!/bin/sh\necho first >&2\necho no way >&2\n"
                                           "exit 3\n");
  ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (folder.path() + ":" + path).c_str(), 1);
  const HostFolder bundles;
  const std::vector<BenchRival> rivals = MakeBenchRivals(bundles.path());
  ::setenv("PATH", path.c_str(), 1);
  std::vector<std::string> told;
  for (const BenchRival& rival : rivals) told.push_back(rival.name() + " " + rival.missing());
  EXPECT_THAT(told, Contains("runc refuses: no way"));
  EXPECT_THAT(told, Contains("posix_spawn "));
}

TEST(SandboxBenchTest, ARivalThatIsNotThereIsToldByItsRun) {
  const BenchRival rival("absent", [](int64_t) { return std::vector<std::string>{"/no/such"}; });
  const auto run = rival.Run(1);
  ASSERT_FALSE(run.ok());
  EXPECT_THAT(run.status().message(), HasSubstr("absent cannot be started"));
}

TEST(SandboxBenchTest, MedianAndPercentileAreThoseOfTheNumbers) {
  std::vector<double> numbers = {3, 1, 2, 10};
  EXPECT_EQ(MedianOf(numbers), 2.5);
  EXPECT_EQ(Percentile99Of(numbers), 10);
  std::vector<double> many;
  for (int i = 1; i <= 200; ++i) many.push_back(i);
  EXPECT_EQ(Percentile99Of(many), 198);
  const MedianInterval interval = MedianIntervalOf(many);
  EXPECT_EQ(interval.low, 87);
  EXPECT_EQ(interval.high, 114);
  std::vector<double> few = {2, 9, 4};
  EXPECT_EQ(MedianIntervalOf(few).low, 2);
  EXPECT_EQ(MedianIntervalOf(few).high, 9);
  std::vector<double> one = {7};
  EXPECT_EQ(MedianOf(one), 7);
}

}  // namespace
}  // namespace taskmint::sandbox
