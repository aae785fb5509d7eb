#include "orchestrator/audit.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "datasets/store.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

struct AuditOptions {
  std::string store = "taskmint-store";
  RemotePlace server;
  std::string where;
  std::vector<std::string> decontaminate;
  bool json = false;
};

// Four digits, never rounded up to what it is not.
std::string SimilarityText(double similarity) {
  char text[16];
  std::snprintf(text, sizeof text, "%.4f", static_cast<int>(similarity * 10'000) / 10'000.0);
  return text;
}

std::string Count(int64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

nlohmann::json AuditJson(const AuditReport& report) {
  nlohmann::json flags = nlohmann::json::array();
  std::map<std::string, int64_t> counts;
  for (const auto kind : {AuditFlag::Kind::kNearDuplicate, AuditFlag::Kind::kContaminated,
                          AuditFlag::Kind::kLicenceUnknown}) {
    counts[AuditKindName(kind)] = 0;
  }
  for (const AuditFlag& flag : report.flags) {
    ++counts[AuditKindName(flag.kind)];
    const bool pair = flag.kind != AuditFlag::Kind::kLicenceUnknown;
    const auto of_pair = [pair](const auto& value) {
      return pair ? nlohmann::json(value) : nlohmann::json();
    };
    flags.push_back({{"id", flag.task_id},
                     {"flag", AuditKindName(flag.kind)},
                     {"other", of_pair(flag.other)},
                     {"similarity", of_pair(flag.similarity)},
                     {"part", of_pair(flag.part)},
                     {"words", flag.words},
                     {"other_words", of_pair(flag.other_words)}});
  }
  return {{"tasks", report.tasks},
          {"flagged", report.FlaggedTasks()},
          {"counts", counts},
          {"licences", report.licences},
          {"flags", flags}};
}

void PrintFlags(const AuditReport& report) {
  if (report.flags.empty()) return;
  Table table({"TASK", "FLAG", "ALIKE", "PART", "FIRST WORDS"});
  for (const AuditFlag& flag : report.flags) {
    const bool pair = flag.kind != AuditFlag::Kind::kLicenceUnknown;
    table.Add({flag.task_id.substr(0, 12), AuditKindName(flag.kind),
               pair ? SimilarityText(flag.similarity) : "", flag.part, flag.words},
              Tint::kYellow);
    if (!pair) continue;
    const bool task = flag.kind == AuditFlag::Kind::kNearDuplicate;
    table.Add({"", "  " + (task ? flag.other.substr(0, 12) : flag.other), "", "", flag.other_words},
              Tint::kDim);
  }
  table.Print();
  PrintOut("\n");
}

void PrintAudit(const AuditReport& report) {
  PrintFlags(report);
  Table licences({"LICENCE", "TASKS"});
  for (const auto& [spdx_id, tasks] : report.licences) {
    licences.Add({spdx_id, std::to_string(tasks)},
                 spdx_id == "unknown" ? Tint::kYellow : Tint::kNone);
  }
  licences.Print();
  using Kind = AuditFlag::Kind;
  const auto of = [&](Kind kind) { return static_cast<int64_t>(report.Flagged(kind).size()); };
  PrintOut("\n" + Count(report.tasks, "task", "tasks") + ", " +
           std::to_string(report.FlaggedTasks()) +
           " flagged: " + Count(of(Kind::kNearDuplicate), "near-duplicate", "near-duplicates") +
           ", " + std::to_string(of(Kind::kContaminated)) + " contaminated, " +
           std::to_string(of(Kind::kLicenceUnknown)) + " of unknown licence\n");
}

Result<AuditReport> RunWhereTheyAre(const AuditOptions& options, std::stop_token stop) {
  if (!options.server.address.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(const auto server, RemoteServer::Connect(options.server));
    return server->Audit(options.where, std::move(stop));
  }
  const SystemClock clock;
  TASKMINT_ASSIGN_OR_RETURN(
      const auto store, datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock));
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store->KeptTaskIds(options.where));
  return AuditTasks(*store, ids, options.decontaminate, std::move(stop));
}

int RunAudit(const AuditOptions& options) {
  if (!options.server.address.empty() && !options.decontaminate.empty()) {
    Complain("--decontaminate reads files of this machine: give it to `taskmint audit` there");
    return kExitBadArguments;
  }
  const Interrupt interrupt("stopping");
  const auto report = RunWhereTheyAre(options, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!report.ok()) {
    Complain(report.status().message());
    return report.status().code() == Code::kInvalidArgument ? kExitBadArguments : kExitFailed;
  }
  if (options.json) {
    PrintOut(DumpJson(AuditJson(*report), true) + "\n");
  } else if (report->tasks > 0) {
    PrintAudit(*report);
  }
  if (report->tasks == 0) {
    const std::string place =
        options.server.address.empty() ? options.store : options.server.address;
    Complain(options.where.empty() ? "no task is kept in " + place
                                   : "no kept task matches --where");
    return kExitNothingKept;
  }
  return report->flags.empty() ? kExitDone : kExitFailed;
}

}  // namespace

void AddAudit(Command root) {
  static AuditOptions options;
  Command audit = root.Add(
      "audit",
      "Flag kept tasks that are near-duplicates of an earlier one, that stand in a set given with "
      "--decontaminate, or whose licence is unknown, and count licences. Exits with 0 when none is "
      "flagged, 1 when one is (or the audit failed, as standard error says), 3 when there is none. "
      "With --server it wants "
      "the token of a caller that may see solutions");
  audit.Text("--where", options.where, "EXPR", "The kept tasks for which this holds; see list")
      .Texts("--decontaminate", options.decontaminate, "FILE",
             "A set that tasks must not come from: SWE-bench rows as JSON lines, or a text a line "
             "(may be repeated)")
      .Flag("--json", options.json,
            "Print an object: tasks, flagged, counts, licences, and flags with both texts' words");
  AddStoreOption(audit, options.store);
  AddServerOptions(audit, options.server);
  audit.Example("taskmint audit")
      .Example("taskmint audit --decontaminate swe-bench-verified.jsonl --json")
      .Example("taskmint audit --where \"language = 'python'\" --decontaminate held-out.txt")
      .Action([] { return RunAudit(options); });
}

}  // namespace taskmint::orchestrator
