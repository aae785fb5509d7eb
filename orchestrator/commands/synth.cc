#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "datasets/repository_list.h"
#include "environments/repository/source_import.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/commands/synth_remote.h"
#include "orchestrator/dates.h"
#include "orchestrator/host_file.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/minting.h"
#include "orchestrator/progress.h"
#include "orchestrator/terminal.h"
#include "orchestrator/wall_budget.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

struct SynthOptions {
  std::vector<std::string> repositories;
  std::string repositories_file;
  std::string since;
  std::string until;
  std::string issues_file;
  std::string setup_file;
  std::string test_command;
  std::string grade_scope = "graded";
  std::string store = "taskmint-store";
  int64_t tasks_max = 0;
  int64_t jobs = 0;
  int64_t wall_minutes_max = 0;
  RemotePlace server;
  uint64_t seed = 0;
  bool json = false;
};

Status InvalidArgument(const std::string& message) {
  return Status(Code::kInvalidArgument, Boundary::kConfig, message);
}

// Every source once, in the order given.
Result<std::vector<std::string>> Sources(const SynthOptions& options) {
  std::vector<std::string> named = options.repositories;
  if (!options.repositories_file.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string text, ReadHostFile(options.repositories_file));
    TASKMINT_ASSIGN_OR_RETURN(const auto listed,
                              datasets::ParseRepositoryList(text, options.repositories_file));
    named.insert(named.end(), listed.begin(), listed.end());
  }
  std::vector<std::string> sources;
  std::set<std::string> seen;
  for (const std::string& source : named) {
    if (seen.insert(source).second) sources.push_back(source);
  }
  if (sources.empty()) return InvalidArgument("no repository: give --repo or --repos");
  if (sources.size() > 1 && !options.issues_file.empty()) {
    return InvalidArgument("--issues belongs to one repository; run them one by one");
  }
  return sources;
}

// What is the same for every source.
Result<MintRequest> RequestOf(const SynthOptions& options) {
  MintRequest request;
  v1::Job& job = request.job;
  job.set_category(v1::CATEGORY_CODE);
  job.set_seed(options.seed);
  if (!options.since.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(const int64_t since_s, ParseDate(options.since, DayPart::kBegin));
    job.set_since_s(since_s);
  }
  if (!options.until.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(const int64_t until_s, ParseDate(options.until, DayPart::kEnd));
    job.set_until_s(until_s);
  }
  if (!options.setup_file.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(std::string script, ReadHostFile(options.setup_file));
    if (!IsUtf8(script)) {
      return InvalidArgument(Printable(options.setup_file) + " is not UTF-8: write it in UTF-8");
    }
    job.mutable_settings()->set_setup_script(std::move(script));
  }
  if (!IsUtf8(options.test_command)) {
    return InvalidArgument("--test-command '" + Printable(options.test_command) +
                           "' is not UTF-8: name files in it by patterns, or in a script");
  }
  job.mutable_settings()->set_test_command(options.test_command);
  job.set_grade_scope(options.grade_scope);
  if (!options.issues_file.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(request.issues_text, ReadHostFile(options.issues_file));
    if (request.issues_text.empty()) {
      return InvalidArgument(Printable(options.issues_file) +
                             " is empty: it should hold GitHub issues and pull requests, as a JSON "
                             "array or JSON lines");
    }
  }
  request.tasks_max = options.tasks_max;
  const int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  request.jobs = options.jobs > 0 ? options.jobs : cores;
  return request;
}

std::string RejectedText(const MintSummary& summary) {
  std::string text;
  for (const auto& [reason, count] : summary.rejected) {
    text += (text.empty() ? "" : ", ") + reason + " " + std::to_string(count);
  }
  return text;
}

std::string SummaryText(const MintSummary& summary) {
  std::string text = summary.source + ": kept " + std::to_string(summary.tasks.size()) + " of " +
                     std::to_string(summary.candidates) + " candidates";
  const int64_t pending = summary.candidates - summary.decided;
  if (summary.surplus > 0) text += ", " + std::to_string(summary.surplus) + " more are valid";
  if (pending > 0) text += ", " + std::to_string(pending) + " not tried";
  text += " (" + DurationText(summary.wall_ms) + ")\n";
  if (summary.kept_before > 0) {
    text += "  " + std::to_string(summary.kept_before) +
            " of them the store had from another run, and they stay as they are: for others, name "
            "another --store\n";
  }
  if (!summary.rejected.empty()) text += "  rejected: " + RejectedText(summary) + "\n";
  return text;
}

nlohmann::json SummaryJson(const MintSummary& summary) {
  return {{"source", summary.source},
          {"run", summary.run_id},
          {"candidates", summary.candidates},
          {"decided", summary.decided},
          {"kept", summary.tasks.size()},
          {"kept_before", summary.kept_before},
          {"surplus", summary.surplus},
          {"rejected", summary.rejected},
          {"tasks", summary.tasks},
          {"wall_ms", summary.wall_ms},
          {"error", summary.end.ok() ? nlohmann::json() : nlohmann::json(summary.end.message())}};
}

// What all sources came to.
struct SynthTotal {
  int64_t kept = 0;
  bool failed = false;
  nlohmann::json sources = nlohmann::json::array();
};

void AddFailure(const std::string& source, const Status& status, SynthTotal& total) {
  Complain(ShownSource(source) + ": " + status.message());
  total.sources.push_back({{"source", ShownSource(source)}, {"error", status.message()}});
}

// Those that are a repository, a bundle or a URL by their looks; says what is wrong with the rest,
// so that a mistyped path leaves no store behind.
std::vector<std::string> Classified(const std::vector<std::string>& sources, SynthTotal& total) {
  std::vector<std::string> readable;
  for (const std::string& source : sources) {
    const auto kind = environments::ClassifySource(source);
    if (kind.ok()) {
      readable.push_back(source);
    } else {
      AddFailure(source, kind.status(), total);
      total.failed = true;
    }
  }
  return readable;
}

bool IsNoCandidates(const Status& status) {
  return status.code() == Code::kNotFound && status.boundary() == Boundary::kConfig;
}

void MintOne(datasets::Store& store, sandbox::SandboxHost& sandboxes, const MintRequest& request,
             const SynthOptions& options, const std::stop_token& stop, SynthTotal& total) {
  static const SystemClock clock;
  ProgressReporter progress(clock, request.tasks_max);
  const auto summary = MintSource(store, sandboxes, request, progress, stop);
  progress.End();
  const std::string& source = request.job.source();
  if (!summary.ok()) {
    if (stop.stop_requested()) return;
    AddFailure(source, summary.status(), total);
    total.failed = total.failed || !IsNoCandidates(summary.status());
    return;
  }
  total.kept += static_cast<int64_t>(summary->tasks.size());
  total.sources.push_back(SummaryJson(*summary));
  if (!options.json) PrintOut(Printable(SummaryText(*summary)));
  if (!summary->end.ok() && summary->end.code() != Code::kCancelled) {
    Complain(ShownSource(source) + ": " + summary->end.message());
    Complain("the same command goes on where it stopped");
    total.failed = true;
  } else if (summary->tasks.empty() && summary->end.ok()) {
    Complain(ShownSource(source) + ": nothing kept (" + RejectedText(*summary) +
             "); `taskmint list --rejected" + StoreArgument(options.store) + "` says why");
  }
}

void PrintTotal(const SynthOptions& options, const SynthTotal& total) {
  if (!options.json) return;
  PrintOut(DumpJson({{"sources", total.sources}, {"kept", total.kept}}, true) + "\n");
}

int RunSynth(const SynthOptions& options) {
  const auto sources = Sources(options);
  if (!sources.ok()) return ComplainOf(sources.status());
  auto request = RequestOf(options);
  if (!request.ok()) return ComplainOf(request.status());
  if (!options.server.address.empty()) {
    return SynthRemotely(options.server, *request, *sources, options.json);
  }
  SynthTotal total;
  const std::vector<std::string> readable = Classified(*sources, total);
  if (readable.empty()) {
    PrintTotal(options, total);
    return kExitFailed;
  }
  static const SystemClock clock;
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kCreate, clock);
  if (!store.ok()) return ComplainOf(store.status());
  auto sandboxes = MakeSandboxHost();
  if (!sandboxes.ok()) return ComplainOf(sandboxes.status());

  const Interrupt interrupt("stopping; once more ends at once");
  WallBudget budget(options.wall_minutes_max, interrupt.token());
  for (const std::string& source : readable) {
    if (budget.token().stop_requested()) break;
    request->job.set_source(source);
    MintOne(**store, **sandboxes, *request, options, budget.token(), total);
  }
  PrintTotal(options, total);
  if (interrupt.interrupted()) {
    Complain("interrupted; the same command goes on where it stopped");
    return kExitInterrupted;
  }
  if (budget.spent()) {
    Complain("--wall-minutes-max is spent; the same command goes on where it stopped");
  }
  if (total.failed) return kExitFailed;
  return total.kept > 0 ? kExitDone : kExitNothingKept;
}

}  // namespace

void AddSynth(Command root) {
  static SynthOptions options;
  Command synth = root.Add("synth", "Make tasks");
  synth.RequireSubcommand().Example("taskmint synth code --repo ~/src/attrs");
  Command code = synth.Add("code", "Mine a git repository's history for tasks with tests");
  code.Texts("--repo", options.repositories, "SOURCE",
             "Repository: a path, an http(s) URL (fetched again when a new run begins) or a "
             "bundle; may be repeated")
      .Text("--repos", options.repositories_file, "FILE",
            "Repositories, one a line; # begins a comment")
      .Number("--tasks-max", options.tasks_max, 1, 1'000'000'000,
              "Keep the first N tasks in the seeded order (default: all)")
      .Number("--jobs,-j", options.jobs, 1, 1024, "Candidates at once (default: the cores)")
      .Text("--since", options.since, "DATE",
            "Only commits authored since (2024-05-01 or RFC 3339)")
      .Text("--until", options.until, "DATE", "Only commits authored until, that day included")
      .Text("--issues", options.issues_file, "FILE",
            "Issues and pull requests: GitHub REST v3, a JSON array or JSON lines")
      .Text("--setup", options.setup_file, "SCRIPT",
            "Shell script (sh -eu) that is run in the work folder when an environment is built; "
            "its pip installs versions as of the commit's date")
      .Text("--test-command", options.test_command, "CMD",
            "Runs the tests instead of the driver's own; ends in pytest, as `make test` may")
      .Choice("--grade-scope", options.grade_scope, {"graded", "full"},
              "Tests of a graded run: those of the fix's files, or the whole suite")
      .Number("--wall-minutes-max", options.wall_minutes_max, 1, 10'000'000,
              "Stop after so many minutes; the same command goes on (default: never)")
      .Seed("--seed", options.seed, "Seed of the candidate order and of every draw")
      .Flag("--json", options.json, "Print the summary as JSON");
  AddStoreOption(code, options.store);
  AddServerOptions(code, options.server);
  code.Example("taskmint synth code --repo ~/src/attrs --tasks-max 20 --jobs 4")
      .Example("taskmint synth code --repos repositories.txt --since 2023-01-01 --store tasks")
      .Action([] { return RunSynth(options); });
}

void AddStoreOption(Command& command, std::string& folder) {
  command.Text("--store", folder, "DIR", "The store's folder");
}

std::string StoreArgument(const std::string& folder) {
  if (folder == SynthOptions().store) return "";
  const bool plain = std::all_of(folder.begin(), folder.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("/._-+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return " --store " + (plain ? folder : "'" + folder + "'");
}

}  // namespace taskmint::orchestrator
