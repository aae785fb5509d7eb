// `taskmint sandbox bench`: what a sandbox costs on this machine.
#include "sandbox/sandbox_bench.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "orchestrator/commands/commands.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

using nlohmann::json;
using sandbox::BenchReport;

struct BenchOptions {
  int64_t rounds = 200;
  int64_t sandboxes = 300;
  int64_t seconds = 5;
  int64_t workload_rounds = 20;
  std::string only;
  bool quick = false;
  bool json = false;
};

// What we hold ourselves to. Where it was not measured, nothing is said to be met.
struct Target {
  const char* name;
  const char* unit;
  double limit;
  bool at_least;
  std::optional<double> measured;
  // Where the measurement tells how certain it is.
  std::optional<double> low = {};
  std::optional<double> high = {};

  // "met", "missed", or "undecided" where the limit lies within what is uncertain.
  const char* Verdict() const {
    const auto holds = [&](double value) { return at_least ? value >= limit : value <= limit; };
    const bool low_holds = holds(low.value_or(*measured));
    if (low_holds != holds(high.value_or(*measured))) return "undecided";
    return low_holds ? "met" : "missed";
  }
};

std::string Number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string Times(double ratio) { return ratio > 0 ? Number(ratio, 2) + " x" : "-"; }

sandbox::BenchPlan BenchPlanOf(const BenchOptions& options) {
  sandbox::BenchPlan plan;
  const auto part = [&](const char* name, int64_t amount, int64_t quick_max) {
    if (!options.only.empty() && options.only != name) return int64_t{0};
    return options.quick ? std::min(amount, quick_max) : amount;
  };
  plan.start_rounds = part("starts", options.rounds, 20);
  plan.sustained_ms = part("sustained", options.seconds * 1000, 1000);
  plan.open_at_once = part("idle", options.sandboxes, 30);
  plan.workload_rounds = part("workloads", options.workload_rounds, 3);
  return plan;
}

std::vector<Target> TargetsOf(const BenchReport& report) {
  std::optional<double> exec_ms, exec_p99_ms, open_ratio, per_second, idle_mb;
  for (const auto& row : report.starts) {
    if (row.name == sandbox::kExecRow) {
      exec_ms = row.median_ms;
      exec_p99_ms = row.p99_ms;
    }
    if (row.name == sandbox::kOpenRow && row.by_bubblewrap > 0) open_ratio = row.by_bubblewrap;
  }
  if (!report.sustained.empty()) per_second = report.sustained.back().runs_per_second;
  if (report.idle.sandboxes > 0) idle_mb = report.idle.total_kib * 1024 / 1e6;
  std::vector<Target> targets = {
      {"exec in a live sandbox, median", "ms", 1.0, false, exec_ms},
      {"exec in a live sandbox, p99", "ms", 3.0, false, exec_p99_ms},
      {"open + first exec by bare bubblewrap", "x", 1.3, false, open_ratio},
      {"open, exec, close on all cores", "a second", 200, true, per_second},
      {"idle memory of a sandbox", "MB", 1.5, false, idle_mb}};
  for (const auto& cost : report.workloads) {
    const bool tests = cost.name == "tests";
    if (!cost.missing.empty()) continue;
    targets.push_back({tests ? "filter and limits on tests" : "filter and limits on a compile", "%",
                       5, false, cost.cost_percent, cost.cost_low_percent, cost.cost_high_percent});
  }
  std::erase_if(targets, [](const Target& target) { return !target.measured; });
  return targets;
}

// A number of the JSON with no more digits than it is good for.
double Rounded(double value) { return std::round(value * 1000) / 1000; }

json NumberOrNull(bool there, double value) { return there ? json(Rounded(value)) : json(); }

json StartsJson(const BenchReport& report) {
  json rows = json::array();
  for (const auto& row : report.starts) {
    const bool there = row.missing.empty();
    rows.push_back({{"name", row.name},
                    {"missing", there ? json() : json(row.missing)},
                    {"samples", row.samples},
                    {"median_ms", NumberOrNull(there, row.median_ms)},
                    {"p99_ms", NumberOrNull(there, row.p99_ms)},
                    {"by_bubblewrap", NumberOrNull(row.by_bubblewrap > 0, row.by_bubblewrap)}});
  }
  return rows;
}

json SustainedJson(const BenchReport& report) {
  json rows = json::array();
  for (const auto& row : report.sustained) {
    const bool there = row.missing.empty();
    rows.push_back({{"name", row.name},
                    {"missing", there ? json() : json(row.missing)},
                    {"threads", row.threads},
                    {"runs", row.runs},
                    {"seconds", Rounded(row.seconds)},
                    {"runs_per_second", NumberOrNull(there, row.runs_per_second)}});
  }
  return rows;
}

json IdleJson(const sandbox::IdleMemory& idle) {
  if (idle.sandboxes == 0) return nullptr;
  return {{"sandboxes", idle.sandboxes},
          {"stopped_by", idle.stopped_by.empty() ? json() : json(idle.stopped_by)},
          {"processes", Rounded(idle.processes)},
          {"set_kib", Rounded(idle.set_kib)},
          {"anonymous_kib", Rounded(idle.anonymous_kib)},
          {"group_kib", Rounded(idle.group_kib)},
          {"group_files_kib", Rounded(idle.group_files_kib)},
          {"group_kernel_kib", Rounded(idle.group_kernel_kib)},
          {"total_kib", Rounded(idle.total_kib)},
          {"machine_kib", Rounded(idle.machine_kib)}};
}

json WorkloadsJson(const BenchReport& report) {
  json rows = json::array();
  for (const auto& cost : report.workloads) {
    const bool there = cost.missing.empty();
    rows.push_back({{"name", cost.name},
                    {"program", cost.program},
                    {"missing", there ? json() : json(cost.missing)},
                    {"rounds", cost.rounds},
                    {"with_median_ms", NumberOrNull(there, cost.with_median_ms)},
                    {"without_median_ms", NumberOrNull(there, cost.without_median_ms)},
                    {"cost_percent", NumberOrNull(there, cost.cost_percent)},
                    {"cost_low_percent", NumberOrNull(there, cost.cost_low_percent)},
                    {"cost_high_percent", NumberOrNull(there, cost.cost_high_percent)}});
  }
  return rows;
}

json BenchJson(const BenchReport& report) {
  utsname system{};
  ::uname(&system);
  json targets = json::array();
  for (const Target& target : TargetsOf(report)) {
    targets.push_back({{"name", target.name},
                       {"unit", target.unit},
                       {target.at_least ? "at_least" : "at_most", target.limit},
                       {"measured", Rounded(*target.measured)},
                       {"verdict", target.Verdict()}});
  }
  return {{"machine",
           {{"cores", report.load.cores},
            {"kernel", std::string(system.release)},
            {"root", ::geteuid() == 0},
            {"load_before", report.load.load_before},
            {"load_after", report.load.load_after},
            {"others_percent", Rounded(report.load.others_percent)}}},
          {"starts", StartsJson(report)},
          {"sustained", SustainedJson(report)},
          {"idle", IdleJson(report.idle)},
          {"workloads", WorkloadsJson(report)},
          {"targets", std::move(targets)}};
}

void PrintStarts(const BenchReport& report) {
  Table table({"START TO EXIT OF TRUE", "MEDIAN MS", "P99 MS", "BY BUBBLEWRAP", "SAMPLES"});
  for (const auto& row : report.starts) {
    if (!row.missing.empty()) {
      table.Add({row.name, "-", "-", "-", row.missing}, Tint::kDim);
      continue;
    }
    table.Add({row.name, Number(row.median_ms, 2), Number(row.p99_ms, 2), Times(row.by_bubblewrap),
               std::to_string(row.samples)});
  }
  table.Print();
}

void PrintSustained(const BenchReport& report) {
  Table table({"SUSTAINED ON ALL CORES", "A SECOND", "THREADS", "RUNS"});
  for (const auto& row : report.sustained) {
    const bool there = row.missing.empty();
    table.Add({row.name, there ? Number(row.runs_per_second, 0) : "-", std::to_string(row.threads),
               there ? std::to_string(row.runs) : row.missing},
              there ? Tint::kNone : Tint::kDim);
  }
  table.Print();
}

void PrintIdle(const sandbox::IdleMemory& idle) {
  Table table({"IDLE, " + std::to_string(idle.sandboxes) + " OPEN AT ONCE", "KIB EACH", "OF IT"});
  table.Add({"processes (" + Number(idle.processes, 1) + " each), proportional",
             Number(idle.set_kib, 0), "their own: " + Number(idle.anonymous_kib, 0)});
  table.Add({"control group", idle.group_kib > 0 ? Number(idle.group_kib, 0) : "-",
             "files in memory: " + Number(idle.group_files_kib, 0) +
                 ", the kernel's: " + Number(idle.group_kernel_kib, 0)});
  table.Add({"both", Number(idle.total_kib, 0), "an upper bound: own memory is in both"});
  table.Add({"by which the machine's available memory fell", Number(idle.machine_kib, 0), ""});
  table.Print();
  if (!idle.stopped_by.empty()) PrintOut("No more could be opened: " + idle.stopped_by + "\n");
}

void PrintWorkloads(const BenchReport& report) {
  Table table({"FILTER AND LIMITS", "WITH MS", "WITHOUT MS", "COST", "BETWEEN", "ROUNDS"});
  for (const auto& cost : report.workloads) {
    const std::string name = cost.name + " (" + cost.program + ")";
    if (!cost.missing.empty()) {
      table.Add({name, "-", "-", "-", "-", cost.missing}, Tint::kDim);
      continue;
    }
    table.Add({name, Number(cost.with_median_ms, 0), Number(cost.without_median_ms, 0),
               Number(cost.cost_percent, 1) + " %",
               Number(cost.cost_low_percent, 1) + " and " + Number(cost.cost_high_percent, 1),
               std::to_string(cost.rounds)});
  }
  table.Print();
}

void PrintTargets(const BenchReport& report) {
  Table table({"TARGET", "LIMIT", "MEASURED", ""});
  for (const Target& target : TargetsOf(report)) {
    const std::string limit = Number(target.limit, 1) + " " + target.unit;
    table.Add({target.name, (target.at_least ? ">= " : "<= ") + limit, Number(*target.measured, 2),
               target.Verdict()},
              std::string_view(target.Verdict()) == "met" ? Tint::kGreen : Tint::kYellow);
  }
  table.Print();
}

void PrintBench(const BenchReport& report) {
  if (!report.starts.empty()) PrintStarts(report);
  if (!report.sustained.empty()) PrintSustained(report);
  if (report.idle.sandboxes > 0) PrintIdle(report.idle);
  if (!report.workloads.empty()) PrintWorkloads(report);
  PrintTargets(report);
  PrintOut(std::to_string(report.load.cores) + " cores, load " +
           Number(report.load.load_before, 1) + " before and " + Number(report.load.load_after, 1) +
           " after; others had " + Number(report.load.others_percent, 0) +
           " % of the processor time meanwhile\n");
}

// On a terminal one line on standard error that is written over, at most ten times a second.
class PartLine {
 public:
  ~PartLine() { End(); }
  void Show(const std::string& text) {
    const int64_t now_ms = clock_.MonotonicMs();
    if (!terminal_ || now_ms - shown_ms_ < 100) return;
    shown_ms_ = now_ms;
    const size_t width = TerminalWidth(STDERR_FILENO);
    std::fprintf(stderr, "\r\033[K%s", CutToWidth(text, width > 1 ? width - 1 : 80).c_str());
    std::fflush(stderr);
  }
  void End() {
    if (shown_ms_ > 0) std::fputs("\r\033[K", stderr);
    shown_ms_ = 0;
  }

 private:
  const SystemClock clock_{};
  const bool terminal_ = IsTerminal(STDERR_FILENO);
  int64_t shown_ms_ = 0;
};

int RunBench(const BenchOptions& options) {
  const Interrupt interrupt("stopping");
  PartLine line;
  const auto progress = [&](const std::string& part, int64_t done, int64_t total) {
    line.Show(part + ": " + std::to_string(done) + " of " + std::to_string(total));
  };
  const auto report = sandbox::MeasureSandbox(BenchPlanOf(options), progress, interrupt.token());
  line.End();
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!report.ok()) {
    ComplainOf(report.status());
    return kExitNoSandbox;
  }
  if (options.json)
    PrintOut(DumpJson(BenchJson(*report), true) + "\n");
  else
    PrintBench(*report);
  return kExitDone;
}

}  // namespace

void AddSandboxBench(Command sandbox) {
  static BenchOptions options;
  Command bench = sandbox.Add(
      "bench",
      "Measure what a sandbox costs here, beside bare bubblewrap, runc and posix_spawn in the same "
      "run: starts, throughput, idle memory, and what the filter and the limits cost programs. "
      "Loads the machine for some minutes");
  bench.Number("--rounds", options.rounds, 1, 100'000, "Rounds of starts (default: 200)")
      .Number("--seconds", options.seconds, 1, 3'600,
              "How long sandboxes are opened and closed on all cores (default: 5)")
      .Number("--sandboxes", options.sandboxes, 1, 4'000,
              "Sandboxes open at once, for their idle memory (default: 300)")
      .Number("--workload-rounds", options.workload_rounds, 1, 10'000,
              "Runs of each program with and without filter and limits (default: 20)")
      .Choice("--only", options.only, {"starts", "sustained", "idle", "workloads"},
              "Measure this part alone")
      .Flag("--quick", options.quick, "At most 20 rounds, 1 second, 30 sandboxes and 3 runs")
      .Flag("--json", options.json,
            "Print one object: machine, starts, sustained, idle, workloads, targets")
      .Example("taskmint sandbox bench --quick")
      .Example("taskmint sandbox bench --only starts --rounds 1000 --json")
      .Action([] { return RunBench(options); });
}

}  // namespace taskmint::orchestrator
