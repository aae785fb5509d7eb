#include "orchestrator/export.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "datasets/exported_task.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/counted_progress.h"
#include "orchestrator/export_report.h"
#include "orchestrator/export_trajectories.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct ExportOptions {
  std::string store = "taskmint-store";
  std::string format = "harbor";
  std::string out;
  std::string where;
  std::string name;
  std::string split = "train";
  int64_t jobs = 0;  // as many as there are cores
  ExportChoice choice;
  RemotePlace server;
  bool no_prove = false;
  bool force = false;
  bool json = false;

  bool trajectories() const { return format == "atif" || format == "chat"; }
};

// "org/name" of [a-z0-9._-], as Harbor and the hub have names.
bool IsDatasetName(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return false;
  const std::string parts[] = {name.substr(0, slash), name.substr(slash + 1)};
  return std::all_of(std::begin(parts), std::end(parts),
                     [](const std::string& part) { return part == datasets::PortableName(part); });
}

std::string DefaultName(const std::string& out) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(out, error);
  if (path.filename().empty()) path = path.parent_path();
  return "taskmint/" + datasets::PortableName(path.filename().string());
}

void PrintExportSummary(const ExportOptions& options, const ExportSummary& summary) {
  if (!summary.skipped.empty()) {
    Table table({"ID", "NOT EXPORTED BECAUSE"});
    for (const ExportSummary::Skipped& task : summary.skipped) {
      table.Add({task.id.substr(0, 12), task.reason}, task.failed ? Tint::kRed : Tint::kYellow);
    }
    table.Print();
  }
  const auto resumed = std::count_if(summary.tasks.begin(), summary.tasks.end(),
                                     [](const auto& task) { return task.resumed; });
  std::string line = "exported " + std::to_string(summary.tasks.size()) + " of " +
                     std::to_string(summary.tasks.size() + summary.skipped.size()) + " tasks";
  if (!summary.tasks.empty()) line += " to " + Printable(options.out);
  if (resumed > 0) line += " (" + std::to_string(resumed) + " of them before an interruption)";
  if (!summary.tasks.empty()) line += summary.proven ? ", all proven" : ", not proven";
  PrintOut(line + ", in " + DurationText(summary.wall_ms) + "\n");
}

// What the exit code tells of tasks.
int ExitCodeOf(const ExportSummary& summary) {
  const bool failed = std::any_of(summary.skipped.begin(), summary.skipped.end(),
                                  [](const auto& task) { return task.failed; });
  if (failed) return kExitFailed;
  return summary.tasks.empty() ? kExitNothingKept : kExitDone;
}

void PrintTrajectoryExport(const ExportOptions& options, const TrajectoryExportSummary& summary) {
  if (summary.exported == 0) return;
  PrintOut("exported " + std::to_string(summary.exported) + " of " +
           std::to_string(summary.exported + summary.skipped) + " trajectories to " +
           Printable(options.out) + "\n");
}

int EndOfTrajectoryExport(const TrajectoryExportSummary& summary, bool only_solved) {
  if (summary.exported > 0) return kExitDone;
  Complain(summary.skipped == 0
               ? "the store has no trajectory: `taskmint play` and `taskmint serve` make them"
               : "of " + std::to_string(summary.skipped) +
                     " trajectories none is of a task that may be exported" +
                     (only_solved ? " and has reward 1, which this format wants" : ""));
  return kExitNothingKept;
}

int RunTrajectoryExport(const ExportOptions& options, datasets::Store& store) {
  TrajectoryExportRequest request;
  const bool chat = options.format == "chat";
  request.format = chat ? TrajectoryFormat::kChat : TrajectoryFormat::kAtif;
  request.out = options.out;
  request.where = options.where;
  request.name = options.name;
  request.split = options.split;
  request.choice = options.choice;
  request.reward_min = chat ? 1 : 0;
  request.force = options.force;
  const Interrupt interrupt("stopping");
  const auto summary = ExportTrajectories(store, request, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!summary.ok()) return ComplainOf(summary.status());
  if (options.json) {
    PrintOut(DumpJson(ExportReport(request, *summary), true) + "\n");
  } else {
    PrintTrajectoryExport(options, *summary);
  }
  return EndOfTrajectoryExport(*summary, chat);
}

// Why --server cannot do what is asked for; empty where it can.
std::string NotWithServer(const ExportOptions& options) {
  if (!options.choice.decontamination_files.empty()) {
    return "--decontaminate reads files of this machine: give it to `taskmint export` there";
  }
  if (options.choice.contaminated_ok) return "--contaminated-ok belongs to --decontaminate";
  if (options.force) {
    return "--force does not go with --server: remove what is at --out, or name another folder";
  }
  if (options.jobs > 0) return "--jobs does not go with --server, which decides on its own";
  return "";
}

// The server proves; what its files are worth here is what the server is worth.
int ExportRemotely(const ExportOptions& options) {
  if (const std::string why = NotWithServer(options); !why.empty()) {
    Complain(why);
    return kExitBadArguments;
  }
  const auto server = RemoteServer::Connect(options.server);
  if (!server.ok()) return ComplainOf(server.status());
  v1::ExportRequest request;
  request.set_format(options.format);
  request.set_where(options.where);
  request.set_name(options.name);
  request.set_split(options.split);
  request.set_licence_unknown_ok(options.choice.licence_unknown_ok);
  request.set_near_duplicates_ok(options.choice.near_duplicates_ok);
  request.set_no_prove(options.no_prove);
  const Interrupt interrupt("stopping");
  const auto report = (*server)->Export(request, options.out, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!report.ok()) return ComplainOf(report.status());
  auto json = ParseJson(*report);
  if (!json.ok()) return ComplainOf(json.status());
  if (json->is_object()) (*json)["out"] = options.out;
  if (options.json) PrintOut(DumpJson(*json, true) + "\n");
  if (options.trajectories()) {
    const TrajectoryExportSummary summary = TrajectorySummaryOfReport(*json);
    if (!options.json) PrintTrajectoryExport(options, summary);
    return EndOfTrajectoryExport(summary, options.format == "chat");
  }
  const ExportSummary summary = SummaryOfReport(*json);
  if (!options.json) PrintExportSummary(options, summary);
  if (summary.tasks.empty() && summary.skipped.empty()) {
    Complain(options.where.empty() ? "the server keeps no task" : "no kept task matches --where");
  }
  return ExitCodeOf(summary);
}

int RunExport(ExportOptions& options) {
  if (options.name.empty()) options.name = DefaultName(options.out);
  if (!IsDatasetName(options.name)) {
    Complain("--name: '" + options.name + "' is not of the form org/name in [a-z0-9._-]");
    return kExitBadArguments;
  }
  if (options.split != datasets::PortableName(options.split)) {
    Complain("--split: '" + options.split + "' is no word of [a-z0-9._-]");
    return kExitBadArguments;
  }
  if (!options.server.address.empty()) return ExportRemotely(options);
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  if (options.trajectories()) {
    return RunTrajectoryExport(options, **store);
  }
  ExportRequest request;
  request.format = options.format == "harbor" ? datasets::ExportFormat::kHarbor
                                              : datasets::ExportFormat::kSwebench;
  request.out = options.out;
  request.where = options.where;
  request.name = options.name;
  request.split = options.split;
  request.choice = options.choice;
  request.force = options.force;
  request.jobs =
      options.jobs > 0 ? options.jobs : std::max(1U, std::thread::hardware_concurrency());
  std::unique_ptr<sandbox::SandboxHost> sandboxes;
  if (!options.no_prove) {
    auto made = MakeSandboxHost();
    if (!made.ok()) return ComplainOf(made.status());
    sandboxes = *std::move(made);
  }
  const Interrupt interrupt("stopping");
  CountedProgress progress(clock, "exported");
  const auto summary = ExportTasks(
      **store, request, sandboxes.get(),
      [&](const ExportProgress& now) { progress.Show(now.done, now.total, now.skipped); },
      interrupt.token());
  progress.End();
  if (interrupt.interrupted()) {
    Complain("interrupted; what is finished is in " + options.out +
             ".partial, where the same command goes on");
    return kExitInterrupted;
  }
  if (!summary.ok()) return ComplainOf(summary.status());
  if (options.json) {
    PrintOut(DumpJson(ExportReport(request, *summary), true) + "\n");
  } else {
    PrintExportSummary(options, *summary);
  }
  if (summary->tasks.empty() && summary->skipped.empty()) {
    Complain(options.where.empty() ? "no task is kept in " + options.store
                                   : "no kept task matches --where");
  }
  return ExitCodeOf(*summary);
}

}  // namespace

void AddExport(Command root) {
  static ExportOptions options;
  Command command = root.Add("export",
                             "Write kept tasks in a format that others load. With --server it "
                             "wants the token of a caller that may see solutions");
  command
      .Choice("--format", options.format, {"harbor", "swebench", "atif", "chat"},
              "harbor: a directory a task with separate verifier, and dataset.toml; swebench: rows "
              "of JSON and a task repository; of trajectories, atif: a file each; chat: rows to "
              "fine-tune with, of those with reward 1")
      .Text("--out", options.out, "DIR", "The folder to make")
      .Require("--out")
      .Text("--where", options.where, "EXPR", "The kept tasks for which this holds; see list")
      .Text("--name", options.name, "ORG/NAME",
            "The dataset's name (default: taskmint/ and the folder's)")
      .Text("--split", options.split, "NAME", "The split of SWE-bench's rows")
      .Flag("--licence-unknown-ok", options.choice.licence_unknown_ok,
            "Also tasks whose source has no licence that is known")
      .Flag("--near-duplicates-ok", options.choice.near_duplicates_ok,
            "Also tasks that are near-duplicates of others")
      .Texts("--decontaminate", options.choice.decontamination_files, "FILE",
             "Leave out what is near to something in FILE: SWE-bench JSONL, or a text a line; may "
             "be repeated")
      .Flag("--contaminated-ok", options.choice.contaminated_ok, "Take that along, and say so")
      .Flag("--no-prove", options.no_prove,
            "Do not run what was written: the solution, doing nothing, and the attacks; the export "
            "says that it is not proven")
      .Flag("--force", options.force, "Replace an earlier export at --out")
      .Number("-j,--jobs", options.jobs, 1, 256,
              "Tasks at once (default: as many as there are cores)")
      .Flag("--json", options.json, "Print an object: tasks, skipped with reasons, dataset_hash");
  AddStoreOption(command, options.store);
  AddServerOptions(command, options.server);
  command.Example("taskmint export --format harbor --out attrs-tasks")
      .Example(
          "taskmint export --format swebench --out rows --where \"licence = 'MIT'\" --no-prove")
      .Action([] { return RunExport(options); });
}

}  // namespace taskmint::orchestrator
