#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/regrade.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct ReplayOptions {
  std::string store = "taskmint-store";
  std::vector<std::string> ids;
  std::string where;
  bool all = false;
  bool json = false;
};

nlohmann::json ReportJson(const ReplayReport& report) {
  return {{"id", report.id},
          {"agrees", report.agrees()},
          {"no_verdict",
           report.no_verdict.empty() ? nlohmann::json() : nlohmann::json(report.no_verdict)},
          {"differences", report.differences},
          {"wall_ms", report.wall_ms},
          {"test_wall_ms", report.test_wall_ms}};
}

std::string Seconds(int64_t ms) {
  const int64_t tenths = (ms + 50) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

void PrintReport(const ReplayReport& report) {
  std::string line = report.id.substr(0, 12) + " ";
  if (!report.no_verdict.empty()) {
    line += "no-verdict: " + Printable(report.no_verdict);
  } else {
    line += report.agrees() ? Tinted("agrees", Tint::kGreen) : Tinted("differs", Tint::kRed);
  }
  PrintOut(line + "\n");
  for (const std::string& difference : report.differences) {
    PrintOut("  " + Printable(difference) + "\n");
  }
}

Result<std::vector<std::string>> Ids(datasets::Store& store, const ReplayOptions& options) {
  if (options.all || !options.where.empty()) return store.KeptTaskIds(options.where);
  return options.ids;
}

int RunReplay(const ReplayOptions& options) {
  if (options.ids.empty() == !(options.all || !options.where.empty())) {
    Complain("give either the ids to replay, or --all, or --where");
    return kExitBadArguments;
  }
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto ids = Ids(**store, options);
  if (!ids.ok()) return ComplainOf(ids.status());
  if (ids->empty()) {
    if (options.json) PrintOut("[]\n");
    Complain(options.where.empty() ? "no task is kept in " + options.store
                                   : "no kept task matches --where");
    return kExitNothingKept;
  }
  auto sandboxes = sandbox::MakeBubblewrapHost();
  if (!sandboxes.ok()) return ComplainOf(sandboxes.status());
  const Interrupt interrupt("stopping");
  nlohmann::json reports = nlohmann::json::array();
  int64_t done = 0;
  int64_t agreeing = 0;
  int64_t wall_ms = 0;
  int64_t test_wall_ms = 0;
  bool failed = false;
  for (const std::string& id : *ids) {
    const auto kept = FindKept(**store, id);
    Result<ReplayReport> report =
        kept.ok() ? Replay(**store, **sandboxes, *kept, clock, interrupt.token()) : kept.status();
    if (interrupt.interrupted()) break;
    if (!report.ok()) {
      Complain(id.substr(0, 12) + ": " + report.status().message());
      failed = true;
      continue;
    }
    ++done;
    wall_ms += report->wall_ms;
    test_wall_ms += report->test_wall_ms;
    agreeing += report->agrees() ? 1 : 0;
    if (options.json) {
      reports.push_back(ReportJson(*report));
    } else {
      PrintReport(*report);
    }
  }
  if (interrupt.interrupted()) {
    if (options.json) PrintOut(DumpJson(reports, true) + "\n");
    Complain("interrupted after " + std::to_string(done) + " of " + std::to_string(ids->size()));
    return kExitInterrupted;
  }
  const bool all_agree = agreeing == static_cast<int64_t>(ids->size());
  if (options.json) {
    PrintOut(DumpJson(reports, true) + "\n");
  } else {
    PrintOut(std::to_string(agreeing) + " of " + std::to_string(ids->size()) + " agree, in " +
             Seconds(wall_ms) + " of which test runs " + Seconds(test_wall_ms) + "\n");
  }
  return failed || !all_agree ? kExitFailed : kExitDone;
}

}  // namespace

void AddReplay(Command root) {
  static ReplayOptions options;
  Command replay =
      root.Add("replay", "Run kept tasks again and compare the verdicts with the evidence");
  replay.Texts("id", options.ids, "ID", "Ids, or the first digits of them")
      .Flag("--all", options.all, "Every kept task")
      .Text("--where", options.where, "EXPR", "The kept tasks for which this holds; see list")
      .Flag("--json", options.json, "Print an array: id, agrees, no_verdict, differences, times");
  AddStoreOption(replay, options.store);
  replay.Example("taskmint replay --all").Example("taskmint replay 3fa94c 77ab01").Action([] {
    return RunReplay(options);
  });
}

}  // namespace taskmint::orchestrator
