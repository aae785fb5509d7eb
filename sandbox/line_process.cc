// A long-running process inside, spoken to in lines.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proto/base/clock.h"
#include "sandbox/agent_sandbox.h"

namespace taskmint::sandbox {
namespace {

// How long a process may leave a line unread.
constexpr int64_t kWriteMsMax = 60'000;

class AgentLineProcess final : public LineProcess {
 public:
  AgentLineProcess(std::shared_ptr<Session> session, uint64_t id, std::string name, UniqueFd input,
                   UniqueFd output, UniqueFd life)
      : session_(std::move(session)),
        id_(id),
        name_(std::move(name)),
        input_(std::move(input)),
        output_(std::move(output)),
        life_(std::move(life)) {}

  ~AgentLineProcess() override {
    if (!session_->channel->open()) return;
    if (session_->channel->Send(WireWriter(Op::kStop).Int(id_)).ok()) {
      static_cast<void>(AwaitOk(*session_, "stop"));  // on failure the channel is closed
    }
  }

  Status WriteLine(std::string_view line) override {
    std::string bytes(line);
    bytes += '\n';
    std::string_view rest = bytes;
    const SystemClock clock;
    const int64_t deadline_ms = clock.MonotonicMs() + kWriteMsMax;
    while (!rest.empty()) {
      if (Ended()) return EndedStatus();
      const ssize_t size = ::send(input_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (size > 0) {
        rest.remove_prefix(static_cast<size_t>(size));
        continue;
      }
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno != EAGAIN) return EndedStatus();
      if (clock.MonotonicMs() > deadline_ms) {
        return Error(Code::kDeadlineExceeded, name_ + " does not read its input");
      }
      pollfd polled[2] = {{input_.get(), POLLOUT, 0}, {life_.get(), POLLIN, 0}};
      ::poll(polled, 2, 1000);
    }
    return OkStatus();
  }

  Result<std::string> ReadLine(int64_t wall_ms_max, std::stop_token stop) override {
    const SystemClock clock;
    const int64_t deadline_ms = clock.MonotonicMs() + wall_ms_max;
    const StopEvent stopped(std::move(stop));
    while (true) {
      const size_t newline = buffer_.find('\n', searched_);
      if (newline <= kLineBytesMax) {  // npos is more
        std::string line = buffer_.substr(0, newline);
        buffer_.erase(0, newline + 1);
        searched_ = 0;
        return line;
      }
      searched_ = buffer_.size();
      if (searched_ > kLineBytesMax) {
        return Error(Code::kResourceExhausted, name_ + " wrote a line of more than 1 MiB");
      }
      if (stopped.stopped()) return Error(Code::kCancelled, "cancelled");
      const bool ended = Ended();
      if (Fill()) continue;
      if (ended || !output_.valid()) return EndedStatus();
      const int64_t left_ms = deadline_ms - clock.MonotonicMs();
      if (left_ms <= 0) {
        return Error(Code::kDeadlineExceeded,
                     name_ + " wrote no line within " + std::to_string(wall_ms_max) + " ms");
      }
      pollfd polled[3] = {
          {output_.get(), POLLIN, 0}, {life_.get(), POLLIN, 0}, {stopped.fd(), POLLIN, 0}};
      ::poll(polled, 3, static_cast<int>(std::min<int64_t>(left_ms, 3'600'000)));
    }
  }

  Status Signal(int number) override {
    if (number <= 0 || number >= NSIG) {
      return Error(Code::kInvalidArgument, "no signal: " + std::to_string(number));
    }
    TASKMINT_RETURN_IF_ERROR(session_->channel->Send(
        WireWriter(Op::kSignal).Int(id_).Int(static_cast<uint64_t>(number))));
    return AwaitOk(*session_, "signal " + name_);
  }

  Result<CommandResult> Wait(int64_t wall_ms_max, std::stop_token stop) override {
    const SystemClock clock;
    const int64_t deadline_ms = clock.MonotonicMs() + wall_ms_max;
    const StopEvent stopped(std::move(stop));
    while (!Ended()) {
      if (stopped.stopped()) return Error(Code::kCancelled, "cancelled");
      const int64_t left_ms = deadline_ms - clock.MonotonicMs();
      if (left_ms <= 0) {
        return Error(Code::kDeadlineExceeded,
                     name_ + " did not end within " + std::to_string(wall_ms_max) + " ms");
      }
      pollfd polled[2] = {{life_.get(), POLLIN, 0}, {stopped.fd(), POLLIN, 0}};
      ::poll(polled, 2, static_cast<int>(std::min<int64_t>(left_ms, 3'600'000)));
    }
    if (lost_) return Lost();
    return result_;
  }

  std::string error_output() override {
    Channel& channel = *session_->channel;
    if (!channel.open() || !channel.Send(WireWriter(Op::kErrorOutput).Int(id_)).ok()) return error_;
    Result<std::string> body = channel.Receive(kReplyMsMax);
    if (!body.ok()) return error_;
    WireReader reader(*body);
    const std::string_view bytes = reader.Bytes();
    if (reader.op() != Op::kData || !reader.Done() || bytes.size() > kLineBytesMax) {
      channel.Close();
      return error_;
    }
    error_ = bytes;
    static_cast<void>(AwaitOk(*session_, "error output"));  // on failure the channel is closed
    return error_;
  }

 private:
  Status Lost() { return Error(Code::kUnavailable, name_ + " died with its sandbox"); }

  static Status Error(Code code, std::string message) {
    return {code, Boundary::kSandbox, std::move(message)};
  }

  // Looks at the life pipe: the agent writes the wait status there, or dies.
  bool Ended() {
    if (ended_) return true;
    int status = 0;
    const ssize_t size = ::read(life_.get(), &status, sizeof status);
    if (size < 0) return false;
    ended_ = true;
    lost_ = size != sizeof status;
    result_.ending = WIFSIGNALED(status) ? Ending::kSignalled : Ending::kExited;
    if (WIFSIGNALED(status))
      result_.signal = WTERMSIG(status);
    else
      result_.exit_code = WEXITSTATUS(status);
    return true;
  }

  Status EndedStatus() {
    // Its input or output can close a moment before it is reaped.
    if (!ended_) {
      pollfd life{life_.get(), POLLIN, 0};
      ::poll(&life, 1, 200);
    }
    if (!Ended()) return Error(Code::kUnavailable, name_ + " closed its output");
    if (lost_) return Lost();
    return Error(Code::kUnavailable,
                 name_ + (result_.signal != 0
                              ? " ended by signal " + std::to_string(result_.signal)
                              : " ended with exit code " + std::to_string(result_.exit_code)));
  }

  // True when something came.
  bool Fill() {
    char buffer[65536];
    if (!output_.valid()) return false;
    const ssize_t size = ::read(output_.get(), buffer, sizeof buffer);
    if (size == 0) output_.reset();
    if (size <= 0) return size < 0 && errno == EINTR;
    buffer_.append(buffer, static_cast<size_t>(size));
    return true;
  }

  std::shared_ptr<Session> session_;
  const uint64_t id_;
  const std::string name_;
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd life_;
  std::string buffer_;
  size_t searched_ = 0;
  std::string error_;
  CommandResult result_;
  bool ended_ = false;
  bool lost_ = false;
};

}  // namespace

Result<std::unique_ptr<LineProcess>> StartLineProcess(std::shared_ptr<Session> session,
                                                      const Command& command,
                                                      const std::string& work_path) {
  TASKMINT_ASSIGN_OR_RETURN(const WireWriter frame,
                            ProcessFrame(Op::kStart, *session, command, work_path));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Status(Code::kUnavailable, Boundary::kSandbox,
                  std::string("no descriptors are left: ") + std::strerror(errno));
  }
  UniqueFd input(ends[0]);
  const UniqueFd input_inside(ends[1]);
  ::fcntl(input.get(), F_SETFL, O_NONBLOCK);
  ::shutdown(input.get(), SHUT_RD);  // what is written there from inside goes nowhere
  TASKMINT_ASSIGN_OR_RETURN(auto output, MakeOutputPipe(*session));
  TASKMINT_ASSIGN_OR_RETURN(auto life, MakeOutputPipe(*session));
  TASKMINT_RETURN_IF_ERROR(
      session->channel->Send(frame, {input_inside.get(), output.second.get(), life.second.get()}));
  TASKMINT_ASSIGN_OR_RETURN(const std::string body, session->channel->Receive(kReplyMsMax));
  WireReader reader(body);
  if (reader.op() == Op::kError) return ErrorFromAgent(reader, *session, command.argv[0]);
  const uint64_t id = reader.Int();
  if (reader.op() != Op::kStarted || !reader.Done()) {
    session->channel->Close();
    return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox's agent sent nonsense");
  }
  return std::unique_ptr<LineProcess>(
      std::make_unique<AgentLineProcess>(std::move(session), id, command.argv[0], std::move(input),
                                         std::move(output.first), std::move(life.first)));
}

}  // namespace taskmint::sandbox
