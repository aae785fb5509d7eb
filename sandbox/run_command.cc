// One command in a live sandbox, from request to result.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proto/base/clock.h"
#include "sandbox/agent_sandbox.h"

namespace taskmint::sandbox {
namespace {

// How long a killed command may take to be gone before the whole sandbox goes.
constexpr int64_t kKillMsMax = 10'000;
// The agent's own wall clock, a second wall behind ours.
constexpr int64_t kAgentGraceMs = 2'000;
// Written more often than this many times the kept bytes: the command is killed.
constexpr int64_t kOutputFactor = 64;

// Keeps the head and the tail of what comes.
class KeptOutput {
 public:
  explicit KeptOutput(int64_t bytes_max)
      : head_max_(static_cast<size_t>(bytes_max) / 2),
        tail_max_(static_cast<size_t>(bytes_max) - head_max_) {}

  void Add(std::string_view bytes) {
    total_ += bytes.size();
    const size_t to_head = std::min(bytes.size(), head_max_ - head_.size());
    head_.append(bytes.substr(0, to_head));
    tail_.append(bytes.substr(to_head));
    if (tail_.size() > 2 * tail_max_ + 65536) tail_.erase(0, tail_.size() - tail_max_);
  }
  uint64_t total() const { return total_; }
  std::string Take() {
    if (tail_.size() > tail_max_) tail_.erase(0, tail_.size() - tail_max_);
    const uint64_t cut = total_ - head_.size() - tail_.size();
    if (cut == 0) return head_ + tail_;
    return head_ + "\n[... " + std::to_string(cut) + " bytes cut ...]\n" + tail_;
  }

 private:
  const size_t head_max_;
  const size_t tail_max_;
  std::string head_;
  std::string tail_;
  uint64_t total_ = 0;
};

struct Stream {
  UniqueFd fd;
  KeptOutput kept;

  // Reads what is there, at most about 1 MiB, so that no writer holds us.
  void Drain() {
    char buffer[65536];
    for (int round = 0; fd.valid() && round < 16; ++round) {
      const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) {
        fd.reset();
        return;
      }
      kept.Add({buffer, static_cast<size_t>(size)});
      if (static_cast<size_t>(size) < sizeof buffer) return;
    }
  }
};

// Standard input is a file in memory: no writer that could block or be signalled.
Result<UniqueFd> InputFile(const std::string& input) {
  UniqueFd file(input.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC)
                              : ::memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  std::string_view rest = input;
  while (file.valid() && !rest.empty()) {
    const ssize_t size = ::write(file.get(), rest.data(), rest.size());
    if (size <= 0)
      file.reset();
    else
      rest.remove_prefix(static_cast<size_t>(size));
  }
  if (!file.valid()) {
    return Status(Code::kUnavailable, Boundary::kSandbox,
                  std::string("cannot hold standard input: ") + std::strerror(errno));
  }
  if (!input.empty()) {
    ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    ::lseek(file.get(), 0, SEEK_SET);
  }
  return file;
}

class Running {
 public:
  Running(Session& session, const Command& command, std::stop_token stop)
      : session_(session),
        command_(command),
        stop_(std::move(stop)),
        output_{{}, KeptOutput(command.output_bytes_max)},
        error_{{}, KeptOutput(command.output_bytes_max)} {}

  Status Start(const WireWriter& frame) {
    memory_kills_ = session_.cgroup != nullptr ? session_.cgroup->MemoryKills() : 0;
    TASKMINT_ASSIGN_OR_RETURN(UniqueFd input, InputFile(command_.input));
    TASKMINT_ASSIGN_OR_RETURN(auto output, MakeOutputPipe(session_));
    TASKMINT_ASSIGN_OR_RETURN(auto error, MakeOutputPipe(session_));
    output_.fd = std::move(output.first);
    error_.fd = std::move(error.first);
    started_ms_ = clock_.MonotonicMs();
    return session_.channel->Send(frame, {input.get(), output.second.get(), error.second.get()});
  }

  Result<CommandResult> Finish() {
    while (true) {
      TASKMINT_ASSIGN_OR_RETURN(const bool ended, TakeExit());
      if (ended) break;
      TASKMINT_ASSIGN_OR_RETURN(const bool lost, EnforceLimits());
      if (lost) break;
      Wait();
    }
    output_.Drain();
    error_.Drain();
    result_.output = output_.kept.Take();
    result_.error_output = error_.kept.Take();
    result_.wall_ms = clock_.MonotonicMs() - started_ms_;
    return std::move(result_);
  }

 private:
  Status Nonsense() {
    session_.channel->Close();
    return {Code::kUnavailable, Boundary::kSandbox, "the sandbox's agent sent nonsense"};
  }

  bool MemoryRanOut() const {
    return session_.cgroup != nullptr && session_.cgroup->MemoryKills() > memory_kills_;
  }

  // True when the command ended, or the sandbox with it for a reason that is the command's.
  Result<bool> TakeExit() {
    Result<std::optional<std::string>> body = session_.channel->TryReceive();
    if (!body.ok()) {
      if (killed_) return true;
      if (!MemoryRanOut()) return body.status().WithContext("while '" + command_.argv[0] + "' ran");
      // The kernel took the agent, too.
      result_.ending = Ending::kMemory;
      result_.signal = SIGKILL;
      return true;
    }
    if (!body->has_value()) return false;
    WireReader reader(**body);
    if (id_ == 0) {
      TASKMINT_RETURN_IF_ERROR(TakeStart(reader));
      return TakeExit();  // which may have come with it
    }
    const uint64_t id = reader.Int();
    const int status = static_cast<int>(reader.Int());
    const uint64_t cpu_us = reader.Int();
    if (reader.op() != Op::kExited || !reader.Done() || id != id_) return Nonsense();
    result_.cpu_ms = static_cast<int64_t>(cpu_us / 1000);
    if (WIFSIGNALED(status))
      result_.signal = WTERMSIG(status);
    else
      result_.exit_code = WEXITSTATUS(status);
    if (killed_) return true;
    result_.ending = result_.signal != 0 ? Ending::kSignalled : Ending::kExited;
    const bool like_killed = result_.signal == SIGKILL || result_.exit_code == 128 + SIGKILL;
    if (like_killed && MemoryRanOut()) result_.ending = Ending::kMemory;
    return true;
  }

  // The agent's first answer. The wall clock and the token already hold: an agent may be starved.
  Status TakeStart(WireReader& reader) {
    if (reader.op() == Op::kError) return ErrorFromAgent(reader, session_, command_.argv[0]);
    id_ = reader.Int();
    if (reader.op() != Op::kStarted || !reader.Done() || id_ == 0) return Nonsense();
    if (killed_) AskToKill();
    return OkStatus();
  }

  void AskToKill() {
    // An agent that does not take the request is killed with the rest, soon.
    if (id_ != 0) static_cast<void>(session_.channel->Send(WireWriter(Op::kKill).Int(id_)));
  }

  // Kills the command at its limits. True when even that does not help and the sandbox was killed.
  Result<bool> EnforceLimits() {
    const int64_t now_ms = clock_.MonotonicMs();
    if (killed_) {
      if (now_ms < killed_ms_ + kKillMsMax) return false;
      session_.Kill();
      return true;
    }
    const uint64_t output_max =
        static_cast<uint64_t>(command_.output_bytes_max) * static_cast<uint64_t>(kOutputFactor);
    if (stop_.stopped())
      result_.ending = Ending::kCancelled;
    else if (now_ms - started_ms_ >= command_.wall_ms_max)
      result_.ending = Ending::kWallTime;
    else if (std::max(output_.kept.total(), error_.kept.total()) > output_max)
      result_.ending = Ending::kOutput;
    else
      return false;
    killed_ = true;
    killed_ms_ = now_ms;
    AskToKill();
    return false;
  }

  void Wait() {
    const int64_t now_ms = clock_.MonotonicMs();
    const int64_t until_ms = killed_ ? killed_ms_ + kKillMsMax : started_ms_ + command_.wall_ms_max;
    pollfd polled[4] = {{session_.channel->fd(), POLLIN, 0},
                        {output_.fd.get(), POLLIN, 0},
                        {error_.fd.get(), POLLIN, 0},
                        {killed_ ? -1 : stop_.fd(), POLLIN, 0}};
    const int64_t wait_ms = std::clamp<int64_t>(until_ms - now_ms, 0, 3'600'000);
    if (::poll(polled, 4, static_cast<int>(wait_ms)) <= 0) return;
    if (polled[1].revents != 0) output_.Drain();
    if (polled[2].revents != 0) error_.Drain();
  }

  Session& session_;
  const Command& command_;
  const StopEvent stop_;
  const SystemClock clock_;
  Stream output_;
  Stream error_;
  CommandResult result_;
  uint64_t id_ = 0;  // 0 until the agent has started it
  uint64_t memory_kills_ = 0;
  int64_t started_ms_ = 0;
  int64_t killed_ms_ = 0;
  bool killed_ = false;
};

}  // namespace

Result<WireWriter> ProcessFrame(Op op, const Session& session, const Command& command,
                                const std::string& work_path) {
  const auto bad = [](const char* what) {
    return Status(Code::kInvalidArgument, Boundary::kSandbox, what);
  };
  if (command.argv.empty() || command.argv[0].empty()) return bad("a command without a program");
  if (op == Op::kRun && command.wall_ms_max <= 0) return bad("wall_ms_max must be positive");
  if (command.output_bytes_max <= 0) return bad("output_bytes_max must be positive");
  std::map<std::string, std::string> variables = session.variables;
  for (const auto& [name, value] : command.variables) variables[name] = value;
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) {
    environment.emplace_back(name).append("=").append(value);
  }
  for (const std::vector<std::string>* strings : {&command.argv, &std::as_const(environment)}) {
    for (const std::string& text : *strings) {
      if (text.find('\0') != std::string::npos) return bad("a zero byte in a command");
    }
  }
  WireWriter frame(op);
  frame.Bytes(command.folder.empty() ? work_path : command.folder)
      .Int(op == Op::kRun ? static_cast<uint64_t>(command.wall_ms_max + kAgentGraceMs) : 0)
      .List(command.argv)
      .List(environment);
  if (frame.size() > kFrameBytesMax) return bad("a command of more than 4 MiB");
  return frame;
}

Result<CommandResult> AgentSandbox::Run(const Command& command, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const WireWriter frame,
                            ProcessFrame(Op::kRun, *session_, command, work_path_));
  Running running(*session_, command, std::move(stop));
  TASKMINT_RETURN_IF_ERROR(running.Start(frame));
  return running.Finish();
}

}  // namespace taskmint::sandbox
