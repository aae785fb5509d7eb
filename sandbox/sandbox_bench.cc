#include "sandbox/sandbox_bench.h"

#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

#include "sandbox/agent_sandbox.h"
#include "sandbox/bench_rivals.h"
#include "sandbox/bubblewrap.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Of the live sandbox, in each round: it takes a tenth of what the others take.
constexpr int kExecsPerRound = 5;
constexpr int64_t kSliceMs = 500;

double MsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - begin).count();
}

// For bundles; gone with everything in it at the end.
class BenchFolder {
 public:
  static Result<std::unique_ptr<BenchFolder>> Make() {
    std::error_code error;
    std::string pattern = std::filesystem::temp_directory_path(error) / "taskmint-bench-XXXXXX";
    if (error || ::mkdtemp(pattern.data()) == nullptr) {
      return Error(Code::kUnavailable, "cannot make a folder for temporary files: set TMPDIR");
    }
    return std::unique_ptr<BenchFolder>(new BenchFolder(pattern));
  }
  ~BenchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit BenchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// Seconds of processor time: of the machine, whatever for, and of us and our children.
struct ProcessorTime {
  double all = 0;   // idle time too
  double busy = 0;  // what other machines took from this one too
  double ours = 0;

  static ProcessorTime Now() {
    ProcessorTime time;
    std::ifstream stat("/proc/stat");
    std::string word;
    stat >> word;
    const double tick_s = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    // user nice system idle iowait irq softirq steal
    double ticks = 0;
    for (int field = 0; field < 8 && stat >> ticks; ++field) {
      time.all += ticks * tick_s;
      if (field != 3 && field != 4) time.busy += ticks * tick_s;
    }
    for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
      rusage usage{};
      ::getrusage(who, &usage);
      for (const timeval& part : {usage.ru_utime, usage.ru_stime}) {
        time.ours += static_cast<double>(part.tv_sec) + static_cast<double>(part.tv_usec) / 1e6;
      }
    }
    return time;
  }
};

double LoadNow() {
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return load;
}

Status Cancelled() { return Error(Code::kCancelled, "cancelled"); }

// Opens sandboxes and times them, one stage after the other.
class OwnStarts {
 public:
  explicit OwnStarts(std::shared_ptr<const HostParts> parts) : parts_(std::move(parts)) {
    command_.argv = {kTrueProgram};
  }

  Result<std::unique_ptr<AgentSandbox>> Open(const std::stop_token& stop) const {
    TASKMINT_ASSIGN_OR_RETURN(auto session, OpenSession(*parts_, spec_, stop));
    return std::make_unique<AgentSandbox>(std::move(session), spec_);
  }

  Status Exec(AgentSandbox& sandbox, const std::stop_token& stop) const {
    TASKMINT_ASSIGN_OR_RETURN(const CommandResult result, sandbox.Run(command_, stop));
    if (stop.stop_requested()) return Cancelled();
    if (result.exit_code == 0 && result.signal == 0) return OkStatus();
    return Error(Code::kUnavailable, std::string(kTrueProgram) +
                                         " failed in a sandbox: " + std::string(CauseOf(result)));
  }

  Status OpenExecClose(const std::stop_token& stop) const {
    TASKMINT_ASSIGN_OR_RETURN(const auto sandbox, Open(stop));
    return Exec(*sandbox, stop);
  }

 private:
  const std::shared_ptr<const HostParts> parts_;
  const SandboxSpec spec_;
  Command command_;
};

// The rounds of starts.
class Starts {
 public:
  Starts(const OwnStarts& own, std::vector<BenchRival>& rivals) : own_(own), rivals_(rivals) {
    for (const BenchRival& rival : rivals_) rows_.push_back({rival.name(), {}, {}});
    open_row_ = rows_.size();
    for (const char* name : {kOpenRow, kCloseRow, kExecRow}) rows_.push_back({name, {}, {}});
  }

  Status Run(int64_t rounds, const BenchProgress& progress, const std::stop_token& stop) {
    TASKMINT_ASSIGN_OR_RETURN(live_, own_.Open(stop));
    const size_t kinds = rivals_.size() + 2;
    // The first round warms the machine's caches and does not count.
    for (int64_t round = 0; round <= rounds; ++round) {
      if (stop.stop_requested()) return Cancelled();
      for (size_t turn = 0; turn < kinds; ++turn) {
        TASKMINT_RETURN_IF_ERROR(
            RunOne((turn + static_cast<size_t>(round)) % kinds, round + 1, stop));
      }
      if (round == 0) {
        for (Samples& row : rows_) row = {row.name, {}, {}};
      }
      progress("starts", round, rounds);
    }
    live_.reset();
    return OkStatus();
  }

  std::vector<StartRow> Rows() {
    const std::vector<double>* bubblewrap = nullptr;
    for (size_t i = 0; i < rivals_.size(); ++i) {
      if (rows_[i].name == kBubblewrapRow && rivals_[i].missing().empty()) {
        bubblewrap = &rows_[i].of_rounds;
      }
    }
    std::vector<StartRow> result;
    for (size_t i = 0; i < rows_.size(); ++i) {
      StartRow row;
      row.name = rows_[i].name;
      if (i < rivals_.size()) row.missing = rivals_[i].missing();
      if (row.missing.empty()) {
        row.samples = static_cast<int64_t>(rows_[i].all.size());
        std::vector<double> all = rows_[i].all;
        row.median_ms = MedianOf(all);
        row.p99_ms = Percentile99Of(all);
        if (bubblewrap != nullptr) row.by_bubblewrap = MedianRatio(rows_[i].of_rounds, *bubblewrap);
      }
      result.push_back(std::move(row));
    }
    return result;
  }

 private:
  struct Samples {
    std::string name;
    std::vector<double> all;
    std::vector<double> of_rounds;  // a mean where a round has several
  };

  static double MedianRatio(const std::vector<double>& of, const std::vector<double>& by) {
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(of.size(), by.size()); ++i) ratios.push_back(of[i] / by[i]);
    return MedianOf(ratios);
  }

  static void Add(Samples& row, double ms) {
    row.all.push_back(ms);
    row.of_rounds.push_back(ms);
  }

  Status RunOne(size_t kind, int64_t number, const std::stop_token& stop) {
    if (kind < rivals_.size()) {
      BenchRival& rival = rivals_[kind];
      if (!rival.missing().empty()) return OkStatus();
      const Result<double> ms = rival.Run(number);
      if (ms.ok())
        Add(rows_[kind], *ms);
      else
        rival.MarkMissing("in round " + std::to_string(number) + ": " + ms.status().message());
      return OkStatus();
    }
    return kind == rivals_.size() ? RunOwn(stop) : RunLive(stop);
  }

  Status RunOwn(const std::stop_token& stop) {
    const auto begin = SteadyClock::now();
    TASKMINT_ASSIGN_OR_RETURN(auto sandbox, own_.Open(stop));
    TASKMINT_RETURN_IF_ERROR(own_.Exec(*sandbox, stop));
    Add(rows_[open_row_], MsSince(begin));
    const auto close = SteadyClock::now();
    sandbox.reset();
    Add(rows_[open_row_ + 1], MsSince(close));
    return OkStatus();
  }

  Status RunLive(const std::stop_token& stop) {
    Samples& row = rows_[open_row_ + 2];
    double sum_ms = 0;
    for (int i = 0; i < kExecsPerRound; ++i) {
      const auto begin = SteadyClock::now();
      TASKMINT_RETURN_IF_ERROR(own_.Exec(*live_, stop));
      row.all.push_back(MsSince(begin));
      sum_ms += row.all.back();
    }
    row.of_rounds.push_back(sum_ms / kExecsPerRound);
    return OkStatus();
  }

  const OwnStarts& own_;
  std::vector<BenchRival>& rivals_;
  std::vector<Samples> rows_;
  size_t open_row_ = 0;
  std::unique_ptr<AgentSandbox> live_;
};

// Runs `once` in as many threads as there are cores until the slice is over, and adds to `row`.
Status RunSlice(const std::function<Status()>& once, SustainedRow& row) {
  std::atomic<int64_t> runs = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Status failure;
  const auto begin = SteadyClock::now();
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < row.threads; ++i) {
      // Without the thread's own stop token: its destructor asks it to stop at once.
      threads.emplace_back([&] {
        while (!failed && MsSince(begin) < kSliceMs) {
          const Status status = once();
          if (status.ok()) {
            ++runs;
            continue;
          }
          const std::lock_guard lock(mutex);
          failure = status;
          failed = true;
        }
      });
    }
  }
  row.seconds += MsSince(begin) / 1000;
  row.runs += runs;
  return failure;
}

Result<std::vector<SustainedRow>> MeasureSustained(const OwnStarts& own,
                                                   const std::vector<BenchRival>& rivals,
                                                   int64_t sustained_ms,
                                                   const BenchProgress& progress,
                                                   const std::stop_token& stop) {
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  SustainedRow sandbox{"sandbox: open, exec, close", {}, cores, 0, 0, 0};
  SustainedRow rival{kBubblewrapRow, "not measured", cores, 0, 0, 0};
  std::function<Status()> run_rival;
  std::atomic<int64_t> number = int64_t{1} << 32;  // apart from those of the starts
  for (const BenchRival& each : rivals) {
    if (each.name() != kBubblewrapRow) continue;
    rival.missing = each.missing();
    run_rival = [&each, &number] { return each.Run(number++).status(); };
  }
  const int64_t slices = std::max<int64_t>(1, sustained_ms / kSliceMs);
  for (int64_t slice = 0; slice < slices; ++slice) {
    if (stop.stop_requested()) return Cancelled();
    if (rival.missing.empty()) {
      if (const Status ran = RunSlice(run_rival, rival); !ran.ok()) {
        rival.missing = ran.message();
      }
    }
    TASKMINT_RETURN_IF_ERROR(RunSlice([&] { return own.OpenExecClose(stop); }, sandbox));
    progress("sustained", slice + 1, slices);
  }
  sandbox.runs_per_second = static_cast<double>(sandbox.runs) / sandbox.seconds;
  if (rival.missing.empty())
    rival.runs_per_second = static_cast<double>(rival.runs) / rival.seconds;
  return std::vector<SustainedRow>{std::move(rival), std::move(sandbox)};
}

}  // namespace

MedianInterval MedianIntervalOf(std::vector<double>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  const auto count = static_cast<double>(numbers.size());
  const double rank = std::floor(count / 2 - 0.98 * std::sqrt(count));
  const auto cut = static_cast<size_t>(std::max(0.0, rank));
  return {numbers[cut], numbers[numbers.size() - 1 - cut]};
}

double MedianOf(std::vector<double>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  const size_t half = numbers.size() / 2;
  return numbers.size() % 2 == 1 ? numbers[half] : (numbers[half - 1] + numbers[half]) / 2;
}

double Percentile99Of(std::vector<double>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[(numbers.size() * 99 + 99) / 100 - 1];
}

Result<BenchReport> MeasureSandbox(const BenchPlan& plan, const BenchProgress& progress,
                                   std::stop_token stop) {
  BenchReport report;
  report.load.cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  report.load.load_before = LoadNow();
  const ProcessorTime before = ProcessorTime::Now();
  TASKMINT_ASSIGN_OR_RETURN(const auto folder, BenchFolder::Make());
  TASKMINT_ASSIGN_OR_RETURN(const auto parts, MakeHostParts());
  const OwnStarts own(parts);
  std::vector<BenchRival> rivals;
  if (plan.start_rounds > 0 || plan.sustained_ms > 0) rivals = MakeBenchRivals(folder->path());
  if (plan.start_rounds > 0) {
    Starts starts(own, rivals);
    TASKMINT_RETURN_IF_ERROR(starts.Run(plan.start_rounds, progress, stop));
    report.starts = starts.Rows();
  }
  if (plan.sustained_ms > 0) {
    TASKMINT_ASSIGN_OR_RETURN(report.sustained,
                              MeasureSustained(own, rivals, plan.sustained_ms, progress, stop));
  }
  if (plan.open_at_once > 0) {
    const auto tell = [&](int64_t opened) { progress("open at once", opened, plan.open_at_once); };
    TASKMINT_ASSIGN_OR_RETURN(report.idle, MeasureIdleMemory(parts, plan.open_at_once, tell, stop));
  }
  if (plan.workload_rounds > 0) {
    const int64_t rounds = WorkloadRounds(plan.workload_rounds);
    const auto tell = [&](int64_t done) { progress("workloads", done, rounds); };
    TASKMINT_ASSIGN_OR_RETURN(report.workloads, MeasureWorkloads(plan.workload_rounds, tell, stop));
  }
  const ProcessorTime after = ProcessorTime::Now();
  const double ours = after.ours - before.ours;
  const double others = after.busy - before.busy - ours;
  const double all = std::max(1e-9, after.all - before.all);
  report.load.others_percent = std::clamp(100 * others / all, 0.0, 100.0);
  report.load.load_after = LoadNow();
  return report;
}

}  // namespace taskmint::sandbox
