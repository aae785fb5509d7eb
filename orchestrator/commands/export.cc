#include "orchestrator/export.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "datasets/exported_task.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/counted_progress.h"
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
  int64_t jobs = std::max(1U, std::thread::hardware_concurrency());
  bool licence_unknown_ok = false;
  bool no_prove = false;
  bool force = false;
  bool json = false;
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

nlohmann::json ExportSummaryJson(const ExportOptions& options, const ExportSummary& summary) {
  nlohmann::json tasks = nlohmann::json::array();
  for (const ExportSummary::Written& task : summary.tasks) {
    tasks.push_back(
        {{"id", task.id},
         {"name", task.name},
         {"folder", task.folder},
         {"digest", "sha256:" + task.digest},
         {"cheaters", summary.proven ? nlohmann::json(task.cheaters) : nlohmann::json()}});
  }
  nlohmann::json skipped = nlohmann::json::array();
  for (const ExportSummary::Skipped& task : summary.skipped) {
    skipped.push_back({{"id", task.id}, {"reason", task.reason}, {"failed", task.failed}});
  }
  const std::string& hash = summary.dataset_hash;
  return {{"format", options.format},
          {"out", options.out},
          {"name", options.name},
          {"exported", summary.tasks.size()},
          {"proven", summary.proven},
          {"tasks", std::move(tasks)},
          {"skipped", std::move(skipped)},
          {"dataset_hash", hash.empty() ? nlohmann::json() : nlohmann::json("sha256:" + hash)},
          {"wall_ms", summary.wall_ms}};
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
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  ExportRequest request;
  request.format = options.format == "harbor" ? datasets::ExportFormat::kHarbor
                                              : datasets::ExportFormat::kSwebench;
  request.out = options.out;
  request.where = options.where;
  request.name = options.name;
  request.split = options.split;
  request.licence_unknown_ok = options.licence_unknown_ok;
  request.force = options.force;
  request.jobs = options.jobs;
  std::unique_ptr<sandbox::SandboxHost> sandboxes;
  if (!options.no_prove) {
    auto made = sandbox::MakeBubblewrapHost();
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
    PrintOut(DumpJson(ExportSummaryJson(options, *summary), true) + "\n");
  } else {
    PrintExportSummary(options, *summary);
  }
  const bool failed = std::any_of(summary->skipped.begin(), summary->skipped.end(),
                                  [](const auto& task) { return task.failed; });
  if (failed) return kExitFailed;
  if (!summary->tasks.empty()) return kExitDone;
  if (summary->skipped.empty()) {
    Complain(options.where.empty() ? "no task is kept in " + options.store
                                   : "no kept task matches --where");
  }
  return kExitNothingKept;
}

}  // namespace

void AddExport(Command root) {
  static ExportOptions options;
  Command command = root.Add("export", "Write kept tasks in a format that others load");
  command
      .Choice("--format", options.format, {"harbor", "swebench"},
              "harbor: a directory a task with separate verifier, and dataset.toml; swebench: rows "
              "of JSON and a task repository")
      .Text("--out", options.out, "DIR", "The folder to make")
      .Require("--out")
      .Text("--where", options.where, "EXPR", "The kept tasks for which this holds; see list")
      .Text("--name", options.name, "ORG/NAME",
            "The dataset's name (default: taskmint/ and the folder's)")
      .Text("--split", options.split, "NAME", "The split of SWE-bench's rows")
      .Flag("--licence-unknown-ok", options.licence_unknown_ok,
            "Also tasks whose source has no licence that is known")
      .Flag("--no-prove", options.no_prove,
            "Do not run what was written: the solution, doing nothing, and the attacks; the export "
            "says that it is not proven")
      .Flag("--force", options.force, "Replace an earlier export at --out")
      .Number("-j,--jobs", options.jobs, 1, 256, "Tasks at once")
      .Flag("--json", options.json, "Print an object: tasks, skipped with reasons, dataset_hash");
  AddStoreOption(command, options.store);
  command.Example("taskmint export --format harbor --out attrs-tasks")
      .Example(
          "taskmint export --format swebench --out rows --where \"licence = 'MIT'\" --no-prove")
      .Action([] { return RunExport(options); });
}

}  // namespace taskmint::orchestrator
