#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/host_file.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/regrade.h"
#include "orchestrator/terminal.h"
#include "orchestrator/trajectory_text.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct VerifyOptions {
  std::string store = "taskmint-store";
  std::string id;
  std::string solution;
  RemotePlace server;
  bool logs = false;
  bool json = false;
};

Result<ProposedSolution> SolutionOf(const std::string& text) {
  using Kind = ProposedSolution::Kind;
  if (text == "gold") return ProposedSolution{Kind::kGold, ""};
  if (text == "null") return ProposedSolution{Kind::kNull, ""};
  TASKMINT_ASSIGN_OR_RETURN(std::string patch, ReadHostFile(text));
  return ProposedSolution{Kind::kPatch, std::move(patch)};
}

int ShowVerdict(const VerifyOptions& options, const std::string& id,
                const verifier::GradeResult& graded) {
  if (options.json) {
    nlohmann::json json = VerdictJson(graded.verdict);
    json["id"] = id;
    json["log"] = graded.log;
    PrintOut(DumpJson(json, true) + "\n");
  } else {
    PrintVerdict(graded.verdict);
    if (options.logs) PrintOut("\n" + Printable(graded.log) + "\n");
  }
  return graded.verdict.state() == v1::Verdict::STATE_NO_VERDICT ? kExitFailed : kExitDone;
}

int VerifyRemotely(const VerifyOptions& options, const ProposedSolution& solution) {
  const auto server = RemoteServer::Connect(options.server);
  if (!server.ok()) return ComplainOf(server.status());
  const Interrupt interrupt("stopping");
  auto answer = (*server)->Verify(options.id, solution, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!answer.ok()) return ComplainOf(answer.status());
  verifier::GradeResult graded;
  graded.verdict = std::move(*answer->mutable_verdict());
  graded.log = "a server sends no logs\n";
  return ShowVerdict(options, options.id, graded);
}

int RunVerify(const VerifyOptions& options) {
  const auto solution = SolutionOf(options.solution);
  if (!solution.ok()) return ComplainOf(solution.status());
  if (!options.server.address.empty()) return VerifyRemotely(options, *solution);
  const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kReadOnly, clock);
  if (!store.ok()) return ComplainOf(store.status());
  const auto kept = FindKept(**store, options.id);
  if (!kept.ok()) return ComplainOf(kept.status());
  auto sandboxes = MakeSandboxHost();
  if (!sandboxes.ok()) return ComplainOf(sandboxes.status());
  const Interrupt interrupt("stopping");
  const auto graded = GradeSolution(**store, **sandboxes, *kept, *solution, interrupt.token());
  if (interrupt.interrupted()) return kExitInterrupted;
  if (!graded.ok()) return ComplainOf(graded.status());
  return ShowVerdict(options, kept->task().id(), *graded);
}

}  // namespace

void AddVerify(Command root) {
  static VerifyOptions options;
  Command verify = root.Add("verify", "Grade a solution of a kept task");
  verify.Text("id", options.id, "ID", "The task's id, or at least 6 of its first digits")
      .Require("id")
      .Text("--solution", options.solution, "gold|null|PATCH",
            "The reference solution, the untouched state, or a unified diff")
      .Require("--solution")
      .Flag("--logs", options.logs, "Show what the test run printed, its sentinels included")
      .Flag("--json", options.json, "Print an object: verdict, score, reason, tests, log, digest");
  AddStoreOption(verify, options.store);
  AddServerOptions(verify, options.server);
  verify.Example("taskmint verify 3fa94c --solution gold")
      .Example("taskmint verify 3fa94c --solution mine.diff --json")
      .Action([] { return RunVerify(options); });
}

}  // namespace taskmint::orchestrator
