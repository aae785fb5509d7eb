#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/commands/server_options.h"
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
  RemotePlace server;
  std::vector<std::string> ids;
  std::string where;
  bool all = false;
  bool json = false;
};

nlohmann::json ReportJson(const v1::ReplayReport& report) {
  return {{"id", report.id()},
          {"agrees", Agrees(report)},
          {"no_verdict",
           report.no_verdict().empty() ? nlohmann::json() : nlohmann::json(report.no_verdict())},
          {"differences", report.differences()},
          {"wall_ms", report.wall_ms()},
          {"test_wall_ms", report.test_wall_ms()}};
}

std::string Seconds(int64_t ms) {
  const int64_t tenths = (ms + 50) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

void PrintReport(const v1::ReplayReport& report) {
  std::string line = report.id().substr(0, 12) + " ";
  if (!report.no_verdict().empty()) {
    line += "no-verdict: " + Printable(report.no_verdict());
  } else {
    line += Agrees(report) ? Tinted("agrees", Tint::kGreen) : Tinted("differs", Tint::kRed);
  }
  PrintOut(line + "\n");
  for (const std::string& difference : report.differences()) {
    PrintOut("  " + Printable(difference) + "\n");
  }
}

// Where tasks are replayed.
class Replays {
 public:
  virtual ~Replays() = default;
  virtual Result<std::vector<std::string>> KeptIds(const std::string& where) = 0;
  virtual Result<v1::ReplayReport> Run(const std::string& id, std::stop_token stop) = 0;
};

class ReplaysHere final : public Replays {
 public:
  ReplaysHere(std::unique_ptr<datasets::Store> store,
              std::unique_ptr<sandbox::SandboxHost> sandboxes)
      : store_(std::move(store)), sandboxes_(std::move(sandboxes)) {}

  Result<std::vector<std::string>> KeptIds(const std::string& where) override {
    return store_->KeptTaskIds(where);
  }
  Result<v1::ReplayReport> Run(const std::string& id, std::stop_token stop) override {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate kept, FindKept(*store_, id));
    return Replay(*store_, *sandboxes_, kept, clock_, std::move(stop));
  }

 private:
  const SystemClock clock_;
  const std::unique_ptr<datasets::Store> store_;
  const std::unique_ptr<sandbox::SandboxHost> sandboxes_;
};

class ReplaysElsewhere final : public Replays {
 public:
  explicit ReplaysElsewhere(std::unique_ptr<RemoteServer> server) : server_(std::move(server)) {}

  Result<std::vector<std::string>> KeptIds(const std::string& where) override {
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<datasets::ListRow> rows,
                              server_->List(datasets::Store::Which::kKept, where));
    std::vector<std::string> ids;
    ids.reserve(rows.size());
    for (const datasets::ListRow& row : rows) ids.push_back(row.id);
    return ids;
  }
  Result<v1::ReplayReport> Run(const std::string& id, std::stop_token stop) override {
    return server_->Replay(id, std::move(stop));
  }

 private:
  const std::unique_ptr<RemoteServer> server_;
};

Result<std::unique_ptr<Replays>> OpenReplays(const ReplayOptions& options) {
  if (!options.server.address.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(auto server, RemoteServer::Connect(options.server));
    return std::unique_ptr<Replays>(std::make_unique<ReplaysElsewhere>(std::move(server)));
  }
  const SystemClock clock;
  TASKMINT_ASSIGN_OR_RETURN(
      auto store, datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock));
  TASKMINT_ASSIGN_OR_RETURN(auto sandboxes, MakeSandboxHost());
  return std::unique_ptr<Replays>(
      std::make_unique<ReplaysHere>(std::move(store), std::move(sandboxes)));
}

int RunReplay(const ReplayOptions& options) {
  if (options.ids.empty() == !(options.all || !options.where.empty())) {
    Complain("give either the ids to replay, or --all, or --where");
    return kExitBadArguments;
  }
  const auto replays = OpenReplays(options);
  if (!replays.ok()) return ComplainOf(replays.status());
  const auto ids = options.ids.empty() ? (*replays)->KeptIds(options.where) : options.ids;
  if (!ids.ok()) return ComplainOf(ids.status());
  if (ids->empty()) {
    if (options.json) PrintOut("[]\n");
    const std::string place =
        options.server.address.empty() ? options.store : options.server.address;
    Complain(options.where.empty() ? "no task is kept in " + place
                                   : "no kept task matches --where");
    return kExitNothingKept;
  }
  const Interrupt interrupt("stopping");
  nlohmann::json reports = nlohmann::json::array();
  int64_t done = 0;
  int64_t agreeing = 0;
  int64_t wall_ms = 0;
  int64_t test_wall_ms = 0;
  int64_t not_run = 0;
  for (const std::string& id : *ids) {
    const auto report = (*replays)->Run(id, interrupt.token());
    if (interrupt.interrupted()) break;
    if (!report.ok()) {
      Complain(id.substr(0, 12) + ": " + report.status().message());
      ++not_run;
      if (report.status().code() == Code::kPermissionDenied) break;  // as for all the others
      continue;
    }
    ++done;
    wall_ms += report->wall_ms();
    test_wall_ms += report->test_wall_ms();
    agreeing += Agrees(*report) ? 1 : 0;
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
    PrintOut(std::to_string(agreeing) + " of " + std::to_string(ids->size()) + " agree" +
             (not_run > 0 ? ", " + std::to_string(not_run) + " could not be run" : "") + ", in " +
             Seconds(wall_ms) + " of which test runs " + Seconds(test_wall_ms) + "\n");
  }
  return !all_agree ? kExitFailed : kExitDone;
}

}  // namespace

void AddReplay(Command root) {
  static ReplayOptions options;
  Command replay =
      root.Add("replay",
               "Run kept tasks again and compare the verdicts with the evidence. With --server it "
               "wants the token of a caller that may see solutions");
  replay.Texts("id", options.ids, "ID", "Ids, or the first digits of them")
      .Flag("--all", options.all, "Every kept task")
      .Text("--where", options.where, "EXPR", "The kept tasks for which this holds; see list")
      .Flag("--json", options.json, "Print an array: id, agrees, no_verdict, differences, times");
  AddStoreOption(replay, options.store);
  AddServerOptions(replay, options.server);
  replay.Example("taskmint replay --all")
      .Example("taskmint replay 3fa94c 77ab01")
      .Example(
          "taskmint replay --all --server tasks.example.org:7070 --token-file reveal.token "
          "--server-ca system")
      .Action([] { return RunReplay(options); });
}

}  // namespace taskmint::orchestrator
