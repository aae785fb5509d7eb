#include <nlohmann/json.hpp>

#include "datasets/store.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

struct ListOptions {
  std::string store = "taskmint-store";
  std::string where;
  RemotePlace server;
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

Result<std::vector<datasets::ListRow>> Rows(const ListOptions& options) {
  using Which = datasets::Store::Which;
  const Which which = options.rejected ? Which::kRejected : Which::kAll;
  if (!options.server.address.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(const auto server, RemoteServer::Connect(options.server));
    return server->List(which, options.where);
  }
  const SystemClock clock;
  TASKMINT_ASSIGN_OR_RETURN(
      const auto store, datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock));
  return store->List(which, options.where);
}

int RunList(const ListOptions& options) {
  const auto rows = Rows(options);
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
  // A server shows them to some callers only.
  const bool unseen = rejected == 0 && !options.server.address.empty();
  PrintOut(std::to_string(kept) + " kept" +
           (unseen ? "" : ", " + std::to_string(rejected) + " rejected") + "\n");
  return kExitDone;
}

}  // namespace

void AddList(Command root) {
  static ListOptions options;
  Command list = root.Add("list", "List the candidates that were decided, kept tasks first");
  list.Flag("--rejected", options.rejected,
            "Only the rejected ones, with why; on a server with the token that shows solutions")
      .Text("--where", options.where, "EXPR",
            "SQLite expression over id, category, language, source, commit, kept, reason, "
            "prompt, licence, fail_to_pass, error_to_pass, pass_to_pass, mutation_score, "
            "created_ms, run (when it began, from 1) and position (in that run)")
      .Flag("--json", options.json, "Print an array of objects; nothing is paged");
  AddStoreOption(list, options.store);
  AddServerOptions(list, options.server);
  list.Example("taskmint list --where \"kept and fail_to_pass > 1\"")
      .Example("taskmint list --rejected --json")
      .Action([] { return RunList(options); });
}

}  // namespace taskmint::orchestrator
