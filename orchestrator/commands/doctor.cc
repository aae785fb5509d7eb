#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/machine.h"
#include "orchestrator/terminal.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct DoctorOptions {
  std::string store = "taskmint-store";
  bool json = false;
};

int RunDoctor(const DoctorOptions& options) {
  const std::vector<sandbox::Finding> findings = ExamineMachine(options.store);
  bool sound = true;
  for (const sandbox::Finding& finding : findings) sound = sound && finding.ok;
  if (options.json) {
    nlohmann::json array = nlohmann::json::array();
    for (const sandbox::Finding& finding : findings) {
      array.push_back({{"name", finding.name},
                       {"ok", finding.ok},
                       {"detail", finding.detail},
                       {"mend", finding.mend}});
    }
    PrintOut(DumpJson(array, true) + "\n");
    return sound ? kExitDone : kExitFailed;
  }
  Table table({"", "WHAT", "FOUND"});
  for (const sandbox::Finding& finding : findings) {
    table.Add({finding.ok ? "ok" : "MISSING", finding.name, finding.detail},
              finding.ok ? Tint::kNone : Tint::kRed);
  }
  table.Print();
  for (const sandbox::Finding& finding : findings) {
    if (!finding.ok) PrintOut(Printable("\n" + finding.name + ": " + finding.mend + "\n"));
  }
  return sound ? kExitDone : kExitFailed;
}

}  // namespace

void AddDoctor(Command root) {
  static DoctorOptions options;
  Command doctor = root.Add("doctor", "What this machine can do, and how to mend the rest");
  doctor.Flag("--json", options.json, "Print an array: name, ok, detail, mend");
  AddStoreOption(doctor, options.store);
  doctor.Example("taskmint doctor").Example("taskmint doctor --json").Action([] {
    return RunDoctor(options);
  });
}

}  // namespace taskmint::orchestrator
