#include "orchestrator/episode.h"

#include <utility>

#include "environments/tool_arguments.h"
#include "orchestrator/regrade.h"
#include "proto/base/digest.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kToolNameBytesMax = 200;
constexpr size_t kActorBytesMax = 1'000;
// What a step takes beside its texts.
constexpr int64_t kStepBytes = 256;

Status OfAgent(Code code, const std::string& message) { return {code, Boundary::kAgent, message}; }

// At most `bytes_max` bytes of UTF-8, from the front.
std::string FrontOf(const std::string& text, size_t bytes_max) {
  std::string front = ToUtf8(std::string_view(text).substr(0, bytes_max + 4));
  if (front.size() <= bytes_max) return front;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(front[end]) & 0xC0) == 0x80) --end;
  return front.substr(0, end);
}

// What is kept of arguments. Those that are too long stay so, and are refused again in a replay.
std::string KeptArguments(const std::string& arguments_json) {
  constexpr size_t kKeptBytesMax = environments::kArgumentsBytesMax + 4;
  if (arguments_json.size() > kKeptBytesMax) return FrontOf(arguments_json, kKeptBytesMax);
  return IsUtf8(arguments_json) ? arguments_json : ToUtf8(arguments_json);
}

v1::Verdict Unverdict(const std::string& reason) {
  v1::Verdict verdict;
  verdict.set_state(v1::Verdict::STATE_NO_VERDICT);
  verdict.set_reason(ToUtf8(reason));
  return verdict;
}

v1::Verdict Failed(const std::string& reason) {
  v1::Verdict verdict;
  verdict.set_state(v1::Verdict::STATE_FAIL);
  verdict.set_score(0);
  verdict.set_reason(ToUtf8(reason));
  verdict.set_digest(VerdictDigest(verdict, ""));
  return verdict;
}

}  // namespace

Result<std::shared_ptr<const LoadedTask>> LoadTask(datasets::Store& store,
                                                   sandbox::SandboxHost& sandboxes,
                                                   const std::string& id, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(v1::Candidate kept, FindKept(store, id));
  return LoadTask(store, sandboxes, std::move(kept), std::move(stop));
}

Result<std::shared_ptr<const LoadedTask>> LoadTask(datasets::Store& store,
                                                   sandbox::SandboxHost& sandboxes,
                                                   v1::Candidate kept, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const std::string difference, BaseDifference(kept.task()));
  if (!difference.empty()) {
    return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                  difference + "; mint the task on this machine, or play it on one like that");
  }
  TASKMINT_ASSIGN_OR_RETURN(TaskBench bench,
                            LoadTaskBench(store, sandboxes, kept.task(), std::move(stop)));
  return std::make_shared<const LoadedTask>(LoadedTask{std::move(kept), std::move(bench)});
}

v1::Task PublicPart(const v1::Task& task) {
  v1::Task part;
  part.set_id(task.id());
  part.set_category(task.category());
  part.set_language(task.language());
  *part.mutable_prompt() = task.prompt();
  *part.mutable_environment() = task.environment();
  *part.mutable_tools() = task.tools();
  *part.mutable_licence() = task.licence();
  return part;
}

Result<std::unique_ptr<environments::CodeWorld>> OpenWorld(sandbox::SandboxHost& sandboxes,
                                                           const LoadedTask& task,
                                                           std::stop_token stop) {
  const verifier::GradingBench& bench = task.bench.bench;
  return environments::CodeWorld::Open(sandboxes, bench.driver, bench.environment, bench.built,
                                       task.bench.parent_tree, std::move(stop));
}

Episode::Episode(std::shared_ptr<const LoadedTask> task, std::unique_ptr<environments::World> world,
                 const std::string& actor, const Clock& clock)
    : task_(std::move(task)), world_(std::move(world)), clock_(clock) {
  trajectory_.set_task_id(task_->kept.task().id());
  trajectory_.set_actor(FrontOf(actor, kActorBytesMax));
  trajectory_.set_started_ms(clock_.NowMs());
}

Result<v1::Step> Episode::Call(const std::string& tool, const std::string& arguments_json,
                               std::stop_token stop) {
  if (state_ != State::kActing) {
    return OfAgent(Code::kFailedPrecondition, state_ == State::kSubmitted
                                                  ? "the episode was submitted: grade it"
                                                  : "the episode is graded: open another one");
  }
  if (recorded_bytes_ >= kTrajectoryBytesMax) {
    return OfAgent(Code::kResourceExhausted,
                   "the trajectory holds " + std::to_string(kTrajectoryBytesMax >> 20) +
                       " MiB, which is all that an episode may: grade it");
  }
  if (stop.stop_requested()) return OfAgent(Code::kCancelled, "interrupted before the call");
  v1::Step step;
  step.set_tool(FrontOf(tool, kToolNameBytesMax));
  step.set_arguments_json(KeptArguments(arguments_json));
  step.set_started_ms(clock_.NowMs());
  TASKMINT_ASSIGN_OR_RETURN(environments::ToolOutcome outcome,
                            world_->Call(step.tool(), step.arguments_json(), std::move(stop)));
  if (outcome.ended) state_ = State::kSubmitted;
  step.set_masked_observation_digest(Sha256Hex(MaskObservation(outcome.observation)));
  step.set_observation(std::move(outcome.observation));
  step.set_wall_ms(outcome.wall_ms);
  step.set_failed(outcome.failed);
  step.set_cut(outcome.cut);
  recorded_bytes_ += kStepBytes + static_cast<int64_t>(step.tool().size()) +
                     static_cast<int64_t>(step.arguments_json().size()) +
                     static_cast<int64_t>(step.observation().size());
  *trajectory_.add_steps() = step;
  return step;
}

Result<v1::Trajectory> Episode::Grade(std::stop_token stop) {
  if (state_ == State::kGraded) return trajectory_;
  state_ = State::kSubmitted;
  const Status stopped = OfAgent(Code::kCancelled, "interrupted while it was graded");
  const auto tree = world_->FinalTree(stop);
  if (stop.stop_requested()) return stopped;
  if (tree.ok()) {
    auto graded = GradeTree(task_->bench, task_->kept, *tree, stop);
    if (stop.stop_requested()) return stopped;
    trajectory_.set_final_state_digest(TreeDigest(*tree));
    *trajectory_.mutable_verdict() =
        graded.ok() ? std::move(graded->verdict) : Unverdict(graded.status().message());
  } else {
    const bool its_own = tree.status().boundary() == Boundary::kEnvironment;
    *trajectory_.mutable_verdict() =
        its_own ? Failed(tree.status().message()) : Unverdict(tree.status().message());
  }
  state_ = State::kGraded;
  world_.reset();
  return trajectory_;
}

}  // namespace taskmint::orchestrator
