// One command in a live sandbox, from request to result.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
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

// How often a terminal is read when its command has ended, and CPU time looked at.
constexpr int kTerminalRoundsMax = 10'000;
constexpr int64_t kCpuLookMs = 100;
// How often the size of a terminal is looked at.
constexpr int64_t kSizeLookMs = 500;

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
  // What was kept, and how many bytes were not.
  std::string Take(int64_t* cut_bytes) {
    if (tail_.size() > tail_max_) tail_.erase(0, tail_.size() - tail_max_);
    const uint64_t cut = total_ - head_.size() - tail_.size();
    *cut_bytes = static_cast<int64_t>(cut);
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
  const std::function<void(std::string_view)>& seen;

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
      if (seen) seen({buffer, static_cast<size_t>(size)});
      if (static_cast<size_t>(size) < sizeof buffer) return;
    }
  }
};

// A write that ends no process of ours when nobody reads any more: EPIPE alone.
ssize_t WriteQuietly(int fd, std::string_view bytes) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t size = ::write(fd, bytes.data(), bytes.size());
  const int error = errno;
  if (size < 0 && error == EPIPE) {
    const timespec now{};
    while (::sigtimedwait(&pipe_signal, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return size;
}

// As a terminal hears it: Ctrl-D.
constexpr char kEndOfTyping[] = "\x04";

// Carries what can be read from one descriptor to another.
class InputPump {
 public:
  // `last` follows what was read.
  void Start(int from, UniqueFd into, std::string last = "") {
    from_ = from;
    last_ = std::move(last);
    into_ = std::move(into);
  }
  // What to wait for.
  pollfd from() const { return {Reads() ? from_ : -1, POLLIN, 0}; }
  pollfd into() const { return {Reads() ? -1 : into_.get(), POLLOUT, 0}; }

  void Move() {
    if (!into_.valid()) return;
    if (held_.empty()) {
      held_.resize(kPieceBytes);
      const ssize_t size = ::read(from_, held_.data(), held_.size());
      held_.resize(size > 0 ? static_cast<size_t>(size) : 0);
      if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
      if (size <= 0) {
        held_ = std::move(last_);
        ended_ = true;
      }
    }
    while (into_.valid() && !held_.empty()) {
      const ssize_t size = WriteQuietly(into_.get(), held_);
      if (size < 0 && errno == EAGAIN) return;
      if (size < 0)
        into_.reset();
      else
        held_.erase(0, static_cast<size_t>(size));
    }
    if (ended_ && held_.empty()) into_.reset();
  }

 private:
  static constexpr size_t kPieceBytes = 64 << 10;
  bool Reads() const { return into_.valid() && held_.empty(); }

  int from_ = -1;
  UniqueFd into_;
  std::string held_;
  std::string last_;
  bool ended_ = false;
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
        output_{{}, KeptOutput(command.output_bytes_max), command.on_output},
        error_{{}, KeptOutput(command.output_bytes_max), command.on_error_output} {}

  Status Start(const WireWriter& frame) {
    if (session_.cgroup != nullptr) {
      memory_kills_ = session_.cgroup->MemoryKills();
      process_refusals_ = session_.cgroup->ProcessRefusals();
      cpu_us_before_ = session_.cgroup->CpuMicroseconds().value_or(0);
    }
    if (command_.terminal_fd >= 0) return StartOnTerminal(frame);
    TASKMINT_ASSIGN_OR_RETURN(UniqueFd input, Input());
    TASKMINT_ASSIGN_OR_RETURN(auto output, MakeOutputPipe(session_));
    output_.fd = std::move(output.first);
    int error_fd = output.second.get();
    UniqueFd error_end;
    if (!command_.joined_output) {
      TASKMINT_ASSIGN_OR_RETURN(auto error, MakeOutputPipe(session_));
      error_.fd = std::move(error.first);
      error_end = std::move(error.second);
      error_fd = error_end.get();
    }
    started_ms_ = clock_.MonotonicMs();
    return session_.channel->Send(frame, {input.get(), output.second.get(), error_fd});
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
    DrainTerminal();
    result_.written_bytes += static_cast<int64_t>(output_.kept.total() + error_.kept.total());
    result_.output = output_.kept.Take(&result_.output_cut_bytes);
    result_.error_output = error_.kept.Take(&result_.error_output_cut_bytes);
    result_.wall_ms = clock_.MonotonicMs() - started_ms_;
    CountUsage();
    return std::move(result_);
  }

 private:
  // A terminal gives some thousand bytes at once.
  void DrainTerminal() {
    if (command_.terminal_fd < 0) return;
    for (int round = 0; output_.fd.valid() && round < kTerminalRoundsMax; ++round) {
      const uint64_t before = output_.kept.total();
      output_.Drain();
      if (output_.kept.total() == before) return;
    }
  }

  Status StartOnTerminal(const WireWriter& frame) {
    const auto failed = [](const char* what) {
      return Status(Code::kUnavailable, Boundary::kSandbox,
                    std::string(what) + ": " + std::strerror(errno));
    };
    output_.fd.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    char name[128];
    if (!output_.fd.valid() || ::unlockpt(output_.fd.get()) != 0 ||
        ::ptsname_r(output_.fd.get(), name, sizeof name) != 0) {
      return failed("cannot make a terminal");
    }
    const UniqueFd inside(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    UniqueFd typed(::fcntl(output_.fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!inside.valid() || !typed.valid()) return failed("cannot open a terminal");
    const uid_t uid = session_.slot.uid();
    if (uid != 0 && ::fchown(inside.get(), uid, static_cast<gid_t>(-1)) != 0) {
      return failed("cannot hand over a terminal");
    }
    if (command_.input_fd >= 0) pump_.Start(command_.input_fd, std::move(typed), kEndOfTyping);
    FollowSize();
    started_ms_ = clock_.MonotonicMs();
    return session_.channel->Send(frame, {inside.get(), inside.get(), inside.get()});
  }

  void FollowSize() {
    winsize size{};
    if (::ioctl(command_.terminal_fd, TIOCGWINSZ, &size) != 0) return;
    if (std::memcmp(&size, &size_, sizeof size) == 0) return;
    size_ = size;
    ::ioctl(output_.fd.get(), TIOCSWINSZ, &size);
  }

  Result<UniqueFd> Input() {
    if (command_.input_fd < 0) return InputFile(command_.input);
    TASKMINT_ASSIGN_OR_RETURN(auto pipe, MakeInputPipe(session_));
    pump_.Start(command_.input_fd, std::move(pipe.second));
    return std::move(pipe.first);
  }

  void CountUsage() {
    if (session_.cgroup == nullptr) return;
    Cgroup& group = *session_.cgroup;
    result_.hit_memory_max = group.MemoryKills() > memory_kills_;
    result_.hit_processes_max = group.ProcessRefusals() > process_refusals_;
    if (const uint64_t peak = group.MemoryPeakBytes(); peak > 0) {
      result_.memory_peak_bytes = static_cast<int64_t>(peak);
    }
    const auto processes = static_cast<int64_t>(group.ProcessesPeak());
    result_.processes_peak = std::max<int64_t>(0, processes - Session::kOwnProcesses);
  }

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
    const uint64_t filled_bytes = reader.Int();
    const uint64_t resident_kib = reader.Int();
    const uint64_t flags = reader.Int();
    if (reader.op() != Op::kExited || !reader.Done() || id != id_) return Nonsense();
    result_.cpu_ms = static_cast<int64_t>(cpu_us / 1000);
    result_.written_bytes = static_cast<int64_t>(filled_bytes);
    result_.memory_peak_bytes = static_cast<int64_t>(resident_kib << 10);
    result_.hit_disk_max = (flags & kHitDiskLimit) != 0;
    if (WIFSIGNALED(status))
      result_.signal = WTERMSIG(status);
    else
      result_.exit_code = WEXITSTATUS(status);
    if (killed_) return true;
    result_.ending = result_.signal != 0 ? Ending::kSignalled : Ending::kExited;
    if ((flags & kHitCpuLimit) != 0) {
      result_.ending = Ending::kCpuTime;
      return true;
    }
    const bool like_killed = result_.signal == SIGKILL || result_.exit_code == 128 + SIGKILL;
    if (like_killed && MemoryRanOut()) result_.ending = Ending::kMemory;
    // Where our own clock was kept from looking, the agent's ended it.
    const bool too_long = clock_.MonotonicMs() - started_ms_ >= command_.wall_ms_max;
    if (result_.ending == Ending::kSignalled && result_.signal == SIGKILL && too_long) {
      result_.ending = Ending::kWallTime;
    }
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
    const int64_t written_max = command_.written_bytes_max > 0
                                    ? command_.written_bytes_max
                                    : command_.output_bytes_max * kOutputFactor;
    const uint64_t output_max = static_cast<uint64_t>(written_max);
    if (stop_.stopped())
      result_.ending = Ending::kCancelled;
    else if (now_ms - started_ms_ >= command_.wall_ms_max)
      result_.ending = Ending::kWallTime;
    else if (std::max(output_.kept.total(), error_.kept.total()) > output_max)
      result_.ending = Ending::kOutput;
    else if (CpuRanOut(now_ms))
      result_.ending = Ending::kCpuTime;
    else
      return false;
    killed_ = true;
    killed_ms_ = now_ms;
    AskToKill();
    return false;
  }

  // By the group's count, which nothing inside escapes; the agent's own is for where there is none.
  bool CpuRanOut(int64_t now_ms) {
    if (command_.cpu_ms_max == 0 || session_.cgroup == nullptr || now_ms < next_cpu_look_ms_) {
      return false;
    }
    next_cpu_look_ms_ = now_ms + kCpuLookMs;
    const std::optional<uint64_t> used = session_.cgroup->CpuMicroseconds();
    const auto limit = static_cast<uint64_t>(command_.cpu_ms_max) * 1000;
    return used.has_value() && *used > cpu_us_before_ + limit;
  }

  void Wait() {
    const int64_t now_ms = clock_.MonotonicMs();
    const int64_t until_ms = killed_ ? killed_ms_ + kKillMsMax : started_ms_ + command_.wall_ms_max;
    pollfd polled[] = {{session_.channel->fd(), POLLIN, 0},
                       {output_.fd.get(), POLLIN, 0},
                       {error_.fd.get(), POLLIN, 0},
                       {killed_ ? -1 : stop_.fd(), POLLIN, 0},
                       pump_.from(),
                       pump_.into()};
    int64_t wait_ms = std::clamp<int64_t>(until_ms - now_ms, 0, 3'600'000);
    if (command_.cpu_ms_max > 0) wait_ms = std::min(wait_ms, kCpuLookMs);
    if (command_.terminal_fd >= 0 && output_.fd.valid()) {
      FollowSize();
      wait_ms = std::min(wait_ms, kSizeLookMs);
    }
    if (::poll(polled, std::size(polled), static_cast<int>(wait_ms)) <= 0) return;
    if (polled[1].revents != 0) output_.Drain();
    if (polled[2].revents != 0) error_.Drain();
    if ((polled[4].revents | polled[5].revents) != 0) pump_.Move();
  }

  Session& session_;
  const Command& command_;
  const StopEvent stop_;
  const SystemClock clock_;
  Stream output_;
  Stream error_;
  CommandResult result_;
  uint64_t id_ = 0;  // 0 until the agent has started it
  InputPump pump_;
  winsize size_{};
  uint64_t memory_kills_ = 0;
  uint64_t process_refusals_ = 0;
  uint64_t cpu_us_before_ = 0;
  int64_t next_cpu_look_ms_ = 0;
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
  if (command.cpu_ms_max < 0) return bad("cpu_ms_max must not be negative");
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
      .Int(op == Op::kRun ? static_cast<uint64_t>(command.cpu_ms_max) : 0)
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
