#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "datasets/store.h"
#include "environments/repository/language_driver.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct ShowOptions {
  std::string store = "taskmint-store";
  std::string id;
  RemotePlace server;
  bool evidence = false;
  bool logs = false;
  bool json = false;
};

// A candidate with what its record refers to.
struct Shown {
  v1::Candidate candidate;
  std::vector<datasets::StageRow> stages;
  std::string patch;
  // By digest.
  std::map<std::string, std::string> logs;
  // Told by a server, which sends neither stages nor logs.
  bool elsewhere = false;

  bool kept() const { return candidate.state() == v1::Candidate::STATE_KEPT; }
  const std::string& id() const { return kept() ? candidate.task().id() : candidate.id(); }
};

Result<Shown> Load(datasets::Store& store, const std::string& id) {
  Shown shown;
  TASKMINT_ASSIGN_OR_RETURN(shown.candidate, store.FindById(id));
  TASKMINT_ASSIGN_OR_RETURN(shown.stages, store.Stages(shown.candidate));
  const std::string& patch = shown.candidate.task().solution().patch_digest();
  if (!patch.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(shown.patch, store.blobs().Get(patch));
  }
  std::vector<std::string> digests;
  for (const datasets::StageRow& row : shown.stages) digests.push_back(row.log_digest);
  for (const v1::Evidence& row : shown.candidate.evidence()) digests.push_back(row.log_digest());
  for (const std::string& digest : digests) {
    if (digest.empty() || shown.logs.count(digest) != 0) continue;
    TASKMINT_ASSIGN_OR_RETURN(shown.logs[digest], store.blobs().Get(digest));
  }
  return shown;
}

// What a server shows: without stages and logs, and without the answer unless the token may see it.
Result<Shown> LoadRemotely(const RemotePlace& place, const std::string& id) {
  TASKMINT_ASSIGN_OR_RETURN(const auto server, RemoteServer::Connect(place));
  TASKMINT_ASSIGN_OR_RETURN(v1::GetResponse answer, server->Get(id));
  Shown shown;
  shown.elsewhere = true;
  shown.candidate.set_state(v1::Candidate::STATE_KEPT);
  shown.candidate.set_commit(answer.task().provenance().commit());
  *shown.candidate.mutable_task() = std::move(*answer.mutable_task());
  *shown.candidate.mutable_evidence() = std::move(*answer.mutable_evidence());
  for (v1::Evidence& row : *shown.candidate.mutable_evidence()) row.clear_log_digest();
  shown.patch = std::move(*answer.mutable_gold_patch());
  return shown;
}

std::string LogText(const Shown& shown, const std::string& digest) {
  const auto found = shown.logs.find(digest);
  return found == shown.logs.end() ? "" : found->second;
}

nlohmann::json RecordJson(const google::protobuf::Message& record) {
  auto json = ParseJson(RecordToJson(record));
  return json.ok() ? *std::move(json) : nlohmann::json();
}

std::string StateName(v1::Candidate::State state) {
  switch (state) {
    case v1::Candidate::STATE_KEPT:
      return "kept";
    case v1::Candidate::STATE_REJECTED:
      return "rejected";
    case v1::Candidate::STATE_SURPLUS:
      return "surplus";
    default:
      return "not tried";
  }
}

nlohmann::json StageJson(const Shown& shown, const datasets::StageRow& row) {
  return {{"stage", row.stage},
          {"attempt", row.attempt},
          {"state", row.state},
          {"code", row.code},
          {"boundary", row.boundary},
          {"message", row.message},
          {"log", LogText(shown, row.log_digest)},
          {"started_ms", row.started_ms},
          {"wall_ms", row.wall_ms}};
}

nlohmann::json ShownJson(const Shown& shown) {
  const v1::Candidate& candidate = shown.candidate;
  nlohmann::json evidence = nlohmann::json::array();
  for (const v1::Evidence& row : candidate.evidence()) {
    nlohmann::json json = RecordJson(row);
    json["log"] = LogText(shown, row.log_digest());
    evidence.push_back(std::move(json));
  }
  nlohmann::json stages = nlohmann::json::array();
  for (const datasets::StageRow& row : shown.stages) stages.push_back(StageJson(shown, row));
  return {{"id", shown.id()},
          {"category", "code"},
          {"language", candidate.task().language()},
          {"source", candidate.task().provenance().source()},
          {"commit", candidate.commit()},
          {"kept", shown.kept()},
          {"state", StateName(candidate.state())},
          {"reason",
           candidate.reason().empty() ? nlohmann::json() : nlohmann::json(candidate.reason())},
          {"task", RecordJson(candidate.task())},
          {"patch", shown.patch},
          {"evidence", std::move(evidence)},
          {"stages", std::move(stages)}};
}

void Heading(const std::string& text) { PrintOut("\n" + Tinted(text, Tint::kBold) + "\n"); }

void PrintBlock(const std::string& text) {
  const std::string printable = Printable(text);
  PrintOut(printable);
  if (!printable.empty() && printable.back() != '\n') PrintOut("\n");
}

// `driver` marks ids that stand for a whole program; null: none is known.
template <typename Ids>
void PrintIds(const environments::LanguageDriver* driver, const std::string& role, const Ids& ids,
              int shown_max) {
  if (ids.empty()) return;
  PrintOut("  " + role + " (" + std::to_string(ids.size()) + ")\n");
  int shown = 0;
  for (const std::string& id : ids) {
    if (shown++ == shown_max) {
      PrintOut("    ... and " + std::to_string(ids.size() - shown_max) + " more (--json)\n");
      return;
    }
    const bool coarse = driver != nullptr && driver->IsCoarse(id);
    PrintOut("    " + Printable(id) + (coarse ? "  (coarse)" : "") + "\n");
  }
}

void PrintTask(const Shown& shown) {
  const v1::Task& task = shown.candidate.task();
  if (!task.prompt().text().empty()) {
    Heading("Prompt");
    PrintBlock(task.prompt().text());
  }
  const v1::TestVerifier& tests = task.verifier().tests();
  if (tests.graded_files_size() > 0) {
    Heading("Tests");
    const auto* driver = environments::FindDriver(task.environment().repository().driver());
    PrintIds(driver, "fail to pass", tests.fail_to_pass(), 20);
    PrintIds(driver, "error to pass", tests.error_to_pass(), 20);
    PrintIds(driver, "pass to pass", tests.pass_to_pass(), 5);
    PrintIds(driver, "unjudged", tests.unjudged(), 5);
  }
  const v1::RepositoryEnvironment& environment = task.environment().repository();
  if (environment.layers_size() > 0) {
    Heading("Environment");
    PrintOut("  base  " + Printable(environment.base().name()) + "\n");
    for (const v1::Layer& layer : environment.layers()) {
      PrintOut("  " + Printable(layer.mount_path()) + "  " + layer.tree_digest().substr(0, 12) +
               "\n");
      PrintBlock(layer.recipe());
    }
  }
  if (!shown.patch.empty()) {
    Heading("Reference solution");
    PrintBlock(CutMiddle(shown.patch, 16 << 10));
  }
}

std::string OutcomeName(v1::Evidence::Outcome outcome) {
  switch (outcome) {
    case v1::Evidence::OUTCOME_PASSED:
      return "passed";
    case v1::Evidence::OUTCOME_REJECTED:
      return "rejected";
    case v1::Evidence::OUTCOME_UNMEASURED:
      return "unmeasured";
    case v1::Evidence::OUTCOME_NO_VERDICT:
      return "no-verdict";
    default:
      return "unspecified";
  }
}

std::string ValuesText(const v1::Evidence& row) {
  const std::map<std::string, double> sorted(row.values().begin(), row.values().end());
  std::string text;
  for (const auto& [name, value] : sorted) {
    char number[32];
    std::snprintf(number, sizeof number, "%.4g", value);
    text += (text.empty() ? "" : " ") + name + "=" + number;
  }
  return text;
}

void PrintEvidence(const Shown& shown) {
  Heading("Evidence");
  Table table({"GATE", "OUTCOME", "FOUND"});
  for (const v1::Evidence& row : shown.candidate.evidence()) {
    table.Add({row.gate(), OutcomeName(row.outcome()), row.detail()});
    if (row.values_size() > 0) table.Add({"", "", ValuesText(row)}, Tint::kDim);
    for (const std::string& wall : row.missing_walls()) {
      table.Add({"", "", "in sandboxes that had no " + wall}, Tint::kDim);
    }
  }
  table.Print();
}

void PrintStages(const Shown& shown, bool logs) {
  if (shown.elsewhere) {
    PrintOut("\nA server sends neither stages nor logs.\n");
    return;
  }
  Heading("Stages");
  Table table({"STAGE", "ATTEMPT", "STATE", "TIME", "MESSAGE"});
  for (const datasets::StageRow& row : shown.stages) {
    table.Add({row.stage, std::to_string(row.attempt), row.state, DurationText(row.wall_ms),
               row.code.empty() ? "" : row.code + " (" + row.boundary + "): " + row.message});
  }
  table.Print();
  if (!logs) return;
  for (const datasets::StageRow& row : shown.stages) {
    const std::string log = LogText(shown, row.log_digest);
    if (log.empty()) continue;
    Heading("Log of " + row.stage);
    PrintBlock(CutMiddle(log, 32 << 10));
  }
}

Result<Shown> LoadAnywhere(const ShowOptions& options) {
  if (!options.server.address.empty()) return LoadRemotely(options.server, options.id);
  const SystemClock clock;
  TASKMINT_ASSIGN_OR_RETURN(
      const auto store, datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock));
  return Load(*store, options.id);
}

int RunShow(const ShowOptions& options) {
  const auto shown = LoadAnywhere(options);
  if (!shown.ok()) return ComplainOf(shown.status());
  if (options.json) {
    PrintOut(DumpJson(ShownJson(*shown), true) + "\n");
    return kExitDone;
  }
  const v1::Candidate& candidate = shown->candidate;
  PrintOut(Tinted(shown->id(), Tint::kBold) + "\n");
  PrintOut("  state   " +
           Tinted(StateName(candidate.state()), shown->kept() ? Tint::kGreen : Tint::kRed) +
           (candidate.reason().empty() ? "" : ": " + Printable(candidate.reason())) + "\n");
  PrintOut("  source  " + Printable(candidate.task().provenance().source()) + " at " +
           (candidate.commit().empty() ? "(hidden)" : Printable(candidate.commit())) + "\n");
  const v1::Licence& licence = candidate.task().licence();
  if (!licence.spdx_id().empty()) {
    PrintOut("  licence " + Printable(licence.spdx_id()) +
             (licence.path().empty() ? "" : " (" + Printable(licence.path()) + ")") + "\n");
  }
  PrintTask(*shown);
  if (options.evidence || options.logs || !shown->kept()) {
    PrintEvidence(*shown);
    PrintStages(*shown, options.logs || !shown->kept());
  }
  return kExitDone;
}

}  // namespace

void AddShow(Command root) {
  static ShowOptions options;
  Command show = root.Add("show", "Show a task, or a rejected candidate with its stage logs");
  show.Text("id", options.id, "ID", "The id, or at least 6 of its first digits")
      .Require("id")
      .Flag("--evidence", options.evidence, "What every gate found, and how the stages went")
      .Flag("--logs", options.logs,
            "The stages' logs as well (those of a rejected candidate are always shown)")
      .Flag("--json", options.json, "Print an object: record, patch, evidence, stages with logs");
  AddStoreOption(show, options.store);
  AddServerOptions(show, options.server);
  show.Example("taskmint show 3fa94c --evidence")
      .Example("taskmint show 3fa94c --logs")
      .Example("taskmint show 3fa94c --json")
      .Action([] { return RunShow(options); });
}

}  // namespace taskmint::orchestrator
