#include "orchestrator/import.h"

#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/counted_progress.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct ImportOptions {
  std::string store = "taskmint-store";
  std::string path;
  std::string format = "auto";
  bool json = false;
};

nlohmann::json ImportJson(const ImportSummary& summary) {
  nlohmann::json refused = nlohmann::json::array();
  for (const ImportSummary::Refused& task : summary.refused) {
    refused.push_back({{"path", task.path}, {"reason", task.reason}});
  }
  return {{"source", summary.source},
          {"imported", summary.imported},
          {"known", summary.known},
          {"refused", std::move(refused)},
          {"wall_ms", summary.wall_ms}};
}

void PrintImport(const ImportSummary& summary) {
  if (!summary.refused.empty()) {
    Table table({"REFUSED BECAUSE"});
    for (const ImportSummary::Refused& task : summary.refused) {
      table.Add({task.reason}, Tint::kRed);
    }
    table.Print();
  }
  PrintOut("imported " + std::to_string(summary.imported.size()) +
           (summary.imported.size() == 1 ? " task as " : " tasks as ") + Printable(summary.source) +
           ", " + std::to_string(summary.known.size()) + " were there already, " +
           std::to_string(summary.refused.size()) + " refused, in " +
           DurationText(summary.wall_ms) + "\n");
}

// The tasks of the folder, which must be of the format that the user names.
Result<std::vector<datasets::ForeignTaskPlace>> Places(datasets::ForeignFolder& folder,
                                                       const ImportOptions& options) {
  TASKMINT_ASSIGN_OR_RETURN(auto places, datasets::FindForeignTasks(folder));
  for (const datasets::ForeignTaskPlace& place : places) {
    if (!place.refusal.empty()) continue;
    const std::string format = datasets::ExportFormatName(place.format);
    if (options.format != "auto" && options.format != format) {
      return Status(Code::kInvalidArgument, Boundary::kConfig,
                    options.path + " is of the format " + format + ", not " + options.format);
    }
  }
  return places;
}

int RunImport(const ImportOptions& options) {
  auto folder = datasets::ForeignFolder::Open(options.path);
  if (!folder.ok()) return ComplainOf(folder.status());
  const auto places = Places(**folder, options);
  if (!places.ok()) return ComplainOf(places.status());
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kCreate, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const Interrupt interrupt("stopping");
  CountedProgress progress(clock, "read");
  const auto summary = ImportTasks(
      **store, **folder, *places,
      [&](int64_t done, int64_t total) { progress.Show(done, total, 0); }, interrupt.token());
  progress.End();
  if (interrupt.interrupted()) {
    Complain("interrupted; what was read is in the store, and the same command goes on");
    return kExitInterrupted;
  }
  if (!summary.ok()) return ComplainOf(summary.status());
  if (options.json) {
    PrintOut(DumpJson(ImportJson(*summary), true) + "\n");
  } else {
    PrintImport(*summary);
  }
  return summary->refused.empty() ? kExitDone : kExitFailed;
}

}  // namespace

void AddImport(Command root) {
  static ImportOptions options;
  Command command = root.Add("import", "Take exported tasks into a store, every digest checked");
  command
      .Text("path", options.path, "DIR",
            "What `taskmint export` wrote: a dataset or one task of it, a folder or a .tar.gz of "
            "one")
      .Require("path")
      .Choice("--format", options.format, {"auto", "harbor", "swebench"},
              "What it must be; auto takes either")
      .Flag("--json", options.json, "Print an object: imported, known, refused with reasons");
  AddStoreOption(command, options.store);
  command.Example("taskmint import attrs-tasks --store other-store")
      .Example("taskmint import attrs-tasks.tar.gz --json")
      .Action([] { return RunImport(options); });
}

}  // namespace taskmint::orchestrator
