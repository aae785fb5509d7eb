#include "orchestrator/commands/synth_remote.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "environments/repository/git_clone.h"
#include "environments/repository/source_import.h"
#include "orchestrator/command_line.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/host_file.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using environments::SourceKind;

constexpr int64_t kSentBundleBytesMax = int64_t{256} << 20;

// A name that a server takes: no path, plain characters.
std::string NameToSend(const std::string& source) {
  std::error_code ignored;
  fs::path path = fs::weakly_canonical(source, ignored);
  if (path.filename().empty() || path.filename() == ".git") path = path.parent_path();
  std::string name = path.filename().string();
  for (const std::string_view suffix : {".bundle", ".git"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      name.resize(name.size() - suffix.size());
    }
  }
  std::replace_if(
      name.begin(), name.end(),
      [](char c) {
        return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.');
      },
      '-');
  while (!name.empty() && name.front() == '.') name.erase(0, 1);
  return name.empty() || name.find("..") != std::string::npos ? "repository" : name;
}

// What is sent for one source.
struct Parcel {
  v1::SynthRequest request;
  std::string bundle;
};

Result<Parcel> Pack(const MintRequest& request, const std::string& source, std::stop_token stop) {
  Parcel parcel;
  v1::SynthRequest& sent = parcel.request;
  const v1::Job& job = request.job;
  sent.set_tasks_max(request.tasks_max);
  sent.set_seed(job.seed());
  sent.set_since_s(job.since_s());
  sent.set_until_s(job.until_s());
  *sent.mutable_settings() = job.settings();
  sent.set_issues(request.issues_text);
  sent.set_grade_scope(job.grade_scope());
  TASKMINT_ASSIGN_OR_RETURN(const SourceKind kind, environments::ClassifySource(source));
  if (kind == SourceKind::kUrl) {
    sent.set_url(source);
    return parcel;
  }
  sent.set_name(NameToSend(source));
  if (kind == SourceKind::kBundle) {
    TASKMINT_ASSIGN_OR_RETURN(parcel.bundle, ReadHostFile(source));
    return parcel;
  }
  TASKMINT_ASSIGN_OR_RETURN(const auto sandboxes, MakeSandboxHost());
  TASKMINT_ASSIGN_OR_RETURN(
      parcel.bundle,
      environments::BundleRepository(*sandboxes, source, sent.name(), kSentBundleBytesMax, stop));
  return parcel;
}

void TellEvent(const v1::JobEvent& event, bool& told_running) {
  if (event.status().state() == v1::JobStatus::STATE_RUNNING && !told_running) {
    told_running = true;
    Complain("job " + event.status().id() + " runs");
  }
  if (!event.notice().empty()) Complain(event.notice());
  if (!event.has_decision()) return;
  const v1::JobEvent::Decision& decision = event.decision();
  // The commit is told to callers that may see solutions.
  const std::string commit =
      decision.commit().empty() ? "rejected:" : decision.commit().substr(0, 12);
  const std::string what = decision.task_id().empty() ? commit + " " + decision.reason()
                                                      : decision.task_id().substr(0, 12) + " kept";
  Complain(what + " (" + std::to_string(event.status().decided()) + "/" +
           std::to_string(event.status().candidates()) + " decided, " +
           std::to_string(event.status().kept()) + " kept)");
}

nlohmann::json StatusJson(const v1::JobStatus& status) {
  const bool done = status.state() == v1::JobStatus::STATE_DONE;
  return {{"source", status.source()},
          {"job", status.id()},
          {"candidates", status.candidates()},
          {"decided", status.decided()},
          {"kept", status.tasks_size()},
          {"tasks", std::vector<std::string>(status.tasks().begin(), status.tasks().end())},
          {"rejected",
           std::map<std::string, int64_t>(status.rejected().begin(), status.rejected().end())},
          {"error", done ? nlohmann::json() : nlohmann::json(status.error())}};
}

std::string NotTried(const v1::JobStatus& status) {
  const int64_t left = status.candidates() - status.decided();
  return left > 0 ? ", " + std::to_string(left) + " not tried" : "";
}

// One job from beginning to end.
Result<v1::JobStatus> RunRemoteJob(RemoteServer& server, const Parcel& parcel,
                                   const Interrupt& interrupt) {
  TASKMINT_ASSIGN_OR_RETURN(const v1::JobStatus accepted,
                            server.Submit(parcel.request, parcel.bundle));
  Complain("job " + accepted.id() + " is accepted; an interrupt cancels it");
  bool told_running = false;
  const auto tell = [&](const v1::JobEvent& event) { TellEvent(event, told_running); };
  Result<v1::JobStatus> end = server.Watch(accepted.id(), tell, interrupt.token());
  if (!interrupt.interrupted()) return end;
  return server.Cancel(accepted.id());
}

}  // namespace

int SynthRemotely(const RemotePlace& place, const MintRequest& request,
                  const std::vector<std::string>& sources, bool json) {
  const auto server = RemoteServer::Connect(place);
  if (!server.ok()) return ComplainOf(server.status());
  const Interrupt interrupt("cancelling the server's job");
  nlohmann::json statuses = nlohmann::json::array();
  int64_t kept = 0;
  bool failed = false;
  for (const std::string& source : sources) {
    const auto parcel = Pack(request, source, interrupt.token());
    const Result<v1::JobStatus> status =
        parcel.ok() ? RunRemoteJob(**server, *parcel, interrupt) : parcel.status();
    if (!status.ok()) {
      Complain(ShownSource(source) + ": " + status.status().message());
      failed = true;
      continue;
    }
    kept += status->tasks_size();
    failed = failed || status->state() == v1::JobStatus::STATE_FAILED;
    statuses.push_back(StatusJson(*status));
    if (!json) {
      PrintOut(Printable(status->source()) + ": kept " + std::to_string(status->tasks_size()) +
               " of " + std::to_string(status->candidates()) + " candidates" + NotTried(*status) +
               (status->error().empty() ? "" : ": " + Printable(status->error())) + "\n");
    }
    if (interrupt.interrupted()) break;
  }
  if (json) PrintOut(DumpJson({{"sources", statuses}, {"kept", kept}}, true) + "\n");
  if (interrupt.interrupted()) {
    Complain("interrupted, and the job cancelled; the same command goes on where it stopped");
    return kExitInterrupted;
  }
  if (failed) return kExitFailed;
  return kept > 0 ? kExitDone : kExitNothingKept;
}

}  // namespace taskmint::orchestrator
