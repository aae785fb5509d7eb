#include "orchestrator/commands/played_episode.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/episode.h"
#include "proto/base/clock.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

class EpisodeHere : public PlayedEpisode {
 public:
  static Result<std::unique_ptr<PlayedEpisode>> Open(const std::string& store,
                                                     const std::string& id,
                                                     const std::string& actor,
                                                     std::stop_token stop) {
    auto here = std::make_unique<EpisodeHere>();
    here->folder_ = store;
    TASKMINT_ASSIGN_OR_RETURN(here->store_, OpenStore(store, here->clock_));
    TASKMINT_ASSIGN_OR_RETURN(here->sandboxes_, MakeSandboxHost());
    TASKMINT_ASSIGN_OR_RETURN(auto task, LoadTask(*here->store_, *here->sandboxes_, id, stop));
    TASKMINT_ASSIGN_OR_RETURN(auto world, OpenWorld(*here->sandboxes_, *task, stop));
    here->task_ = PublicPart(task->kept.task());
    here->files_ = world.get();
    here->episode_ =
        std::make_unique<Episode>(std::move(task), std::move(world), actor, here->clock_);
    return std::unique_ptr<PlayedEpisode>(std::move(here));
  }

  const v1::Task& task() const override { return task_; }
  bool acting() const override { return episode_->acting(); }

  Result<v1::Step> Call(const std::string& tool, const std::string& arguments_json,
                        std::stop_token stop) override {
    return episode_->Call(tool, arguments_json, std::move(stop));
  }

  Result<std::optional<std::string>> ReadWhole(const std::string& path,
                                               std::stop_token stop) override {
    return files_->ReadWhole(path, std::move(stop));
  }

  Result<PlayedVerdict> Grade(std::stop_token stop) override {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Trajectory graded, episode_->Grade(std::move(stop)));
    PlayedVerdict played;
    played.verdict = graded.verdict();
    const auto kept = store_->PutTrajectory(graded);
    played.lost = !kept.ok();
    if (kept.ok()) {
      played.trajectory_id = *kept;
      const std::string id = kept->substr(0, 12);
      played.note = "trajectory " + id + " is kept in " + folder_ + ": taskmint trajectory show " +
                    id + StoreArgument(folder_);
    } else {
      played.note = "the trajectory is not kept: " + kept.status().message();
    }
    return played;
  }

 private:
  static Result<std::unique_ptr<datasets::Store>> OpenStore(const std::string& folder,
                                                            const Clock& clock) {
    auto store = datasets::Store::Open(folder, datasets::OpenMode::kReadWrite, clock);
    const Code code = store.status().code();
    if (code != Code::kPermissionDenied && code != Code::kResourceExhausted) return store;
    return datasets::Store::Open(folder, datasets::OpenMode::kReadOnly, clock);
  }

  SystemClock clock_;
  std::string folder_;
  std::unique_ptr<datasets::Store> store_;
  std::unique_ptr<sandbox::SandboxHost> sandboxes_;
  v1::Task task_;
  environments::CodeWorld* files_ = nullptr;  // the episode's world
  std::unique_ptr<Episode> episode_;
};

// One word for a shell.
std::string ShellWord(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word + "'";
}

constexpr int64_t kEndingMsMax = 10'000;

class EpisodeElsewhere : public PlayedEpisode {
 public:
  EpisodeElsewhere(std::unique_ptr<RemoteServer> server, v1::OpenResponse opened)
      : server_(std::move(server)), opened_(std::move(opened)) {}
  ~EpisodeElsewhere() override {
    // One that cannot be closed any more is closed by its idle time-out.
    static_cast<void>(server_->CloseEpisode(opened_.episode_id()));
  }

  const v1::Task& task() const override { return opened_.task(); }
  bool acting() const override { return acting_; }

  Result<v1::Step> Call(const std::string& tool, const std::string& arguments_json,
                        std::stop_token stop) override {
    v1::CallToolRequest request;
    request.set_episode_id(opened_.episode_id());
    request.set_tool(tool);
    request.set_arguments_json(arguments_json);
    v1::Step step;
    step.set_started_ms(clock_.NowMs());
    step.set_tool(tool);
    step.set_arguments_json(arguments_json);
    const auto called = CallWhenFree(request, stop);
    if (!called.ok() && called.status().code() == Code::kCancelled && stop.stop_requested()) {
      // The server ends the command and keeps the episode; what it had seen of it is not told.
      step.set_observation("[interrupted]\n");
      step.set_failed(true);
      return step;
    }
    TASKMINT_RETURN_IF_ERROR(called.status());
    const v1::CallToolResponse& answer = *called;
    step.set_observation(answer.raw_observation().empty() ? answer.observation()
                                                          : answer.raw_observation());
    step.set_failed(answer.failed());
    step.set_cut(answer.cut());
    step.set_wall_ms(answer.wall_ms());
    if (answer.ended()) acting_ = false;
    return step;
  }

  Result<std::optional<std::string>> ReadWhole(const std::string& path,
                                               std::stop_token stop) override {
    const std::string word = ShellWord(path);
    // The point keeps line ends at the end of the file apart from what bash adds.
    const nlohmann::json arguments = {
        {"command", "[ -e " + word + " ] || exit 3; cat -- " + word + " && echo ."},
        {"timeout_s", 60}};
    TASKMINT_ASSIGN_OR_RETURN(const v1::Step step,
                              Call("bash", DumpJson(arguments), std::move(stop)));
    const std::string& seen = step.observation();
    const std::string end = ".\n[exit code 0]\n";
    if (seen == "[exit code 3]\n") return std::optional<std::string>();
    if (step.cut()) {
      return Status(Code::kFailedPrecondition, Boundary::kTool,
                    path + " is too long to be edited from elsewhere: change it with a command");
    }
    if (step.failed() || !seen.ends_with(end)) {
      return Status(Code::kFailedPrecondition, Boundary::kTool, seen);
    }
    return std::optional<std::string>(seen.substr(0, seen.size() - end.size()));
  }

  Result<PlayedVerdict> Grade(std::stop_token stop) override {
    TASKMINT_ASSIGN_OR_RETURN(v1::GradeResponse graded,
                              server_->Grade(opened_.episode_id(), std::move(stop)));
    acting_ = false;
    PlayedVerdict played;
    played.verdict = std::move(*graded.mutable_verdict());
    played.note = "the server keeps the trajectory";
    return played;
  }

 private:
  // Right behind an interrupted command the server may still be ending it.
  Result<v1::CallToolResponse> CallWhenFree(const v1::CallToolRequest& request,
                                            const std::stop_token& stop) {
    const int64_t begun_ms = clock_.MonotonicMs();
    while (true) {
      auto answer = server_->CallTool(request, stop);
      if (answer.ok() || answer.status().code() != Code::kAborted ||
          clock_.MonotonicMs() - begun_ms > kEndingMsMax) {
        return answer;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  SystemClock clock_;
  const std::unique_ptr<RemoteServer> server_;
  const v1::OpenResponse opened_;
  bool acting_ = true;
};

}  // namespace

Result<std::unique_ptr<PlayedEpisode>> OpenHere(const std::string& store, const std::string& id,
                                                const std::string& actor, std::stop_token stop) {
  return EpisodeHere::Open(store, id, actor, std::move(stop));
}

Result<std::unique_ptr<PlayedEpisode>> OpenRemotely(const RemotePlace& place, const std::string& id,
                                                    const std::string& actor) {
  TASKMINT_ASSIGN_OR_RETURN(auto server, RemoteServer::Connect(place));
  v1::OpenRequest request;
  request.set_task_id(id);
  request.set_actor(actor);
  TASKMINT_ASSIGN_OR_RETURN(v1::OpenResponse opened, server->OpenEpisode(request));
  return std::unique_ptr<PlayedEpisode>(
      std::make_unique<EpisodeElsewhere>(std::move(server), std::move(opened)));
}

}  // namespace taskmint::orchestrator
