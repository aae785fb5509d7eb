#include <nlohmann/json.hpp>

#include "datasets/store.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

struct ListOptions {
  std::string store = "taskmint-store";
  std::string where;
  bool rejected = false;
  bool json = false;
};

nlohmann::json RowJson(const datasets::ListRow& row) {
  return {{"id", row.id},
          {"category", row.category},
          {"language", row.language},
          {"source", row.source},
          {"commit", row.commit},
          {"kept", row.kept},
          {"reason", row.kept ? nlohmann::json() : nlohmann::json(row.reason)}};
}

int RunList(const ListOptions& options) {
  using Which = datasets::Store::Which;
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto rows =
      (*store)->List(options.rejected ? Which::kRejected : Which::kAll, options.where);
  if (!rows.ok()) {
    Complain(rows.status().message());
    return rows.status().code() == Code::kInvalidArgument ? kExitBadArguments : kExitFailed;
  }
  if (options.json) {
    nlohmann::json array = nlohmann::json::array();
    for (const datasets::ListRow& row : *rows) array.push_back(RowJson(row));
    PrintOut(DumpJson(array, true) + "\n");
    return kExitDone;
  }
  Table table({"ID", "LANGUAGE", "COMMIT", "SOURCE", "OUTCOME"});
  int64_t kept = 0;
  for (const datasets::ListRow& row : *rows) {
    kept += row.kept ? 1 : 0;
    table.Add({row.id.substr(0, 12), row.language, row.commit.substr(0, 12), row.source,
               row.kept ? "kept" : row.reason},
              row.kept ? Tint::kGreen : Tint::kNone);
  }
  table.Print();
  const int64_t rejected = static_cast<int64_t>(rows->size()) - kept;
  PrintOut(std::to_string(kept) + " kept, " + std::to_string(rejected) + " rejected\n");
  return kExitDone;
}

}  // namespace

void AddList(Command root) {
  static ListOptions options;
  Command list = root.Add("list", "List the candidates that were decided, kept tasks first");
  list.Flag("--rejected", options.rejected, "Only the rejected ones, with why")
      .Text("--where", options.where, "EXPR",
            "SQLite expression over id, category, language, source, commit_sha, kept, reason, "
            "prompt, licence, fail_to_pass, error_to_pass, pass_to_pass, mutation_score, "
            "created_ms, run (when it began, from 1) and position (in that run)")
      .Flag("--json", options.json, "Print an array of objects; nothing is paged");
  AddStoreOption(list, options.store);
  list.Example("taskmint list --where \"kept and fail_to_pass > 1\"")
      .Example("taskmint list --rejected --json")
      .Action([] { return RunList(options); });
}

}  // namespace taskmint::orchestrator
