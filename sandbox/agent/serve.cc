// Inside: PID 1 of the sandbox. Serves one control socket and ends, and everything with it, when
// that socket closes.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/agent/files.h"
#include "sandbox/agent/forwarder.h"
#include "sandbox/agent/modes.h"
#include "sandbox/agent/processes.h"
#include "sandbox/agent/second_wall.h"
#include "sandbox/fd.h"
#include "sandbox/wire.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kFdsMax = 3;

class Agent {
 public:
  Agent(int control, int signals, const ProcessLimits& limits, UniqueFd score, Forwarder* forwarder)
      : control_(control),
        signals_(signals),
        forwarder_(forwarder),
        processes_(limits, std::move(score)) {}

  int Serve() {
    if (!Send(WireWriter(Op::kHello))) return 1;
    while (true) {
      const int wait_ms = processes_.EnforceTimes();
      Wait(wait_ms);
      if (polled_[1].revents != 0) TakeExits();
      size_t next = 2;
      for (Processes::Tracked& process : processes_.all()) {
        if (!process.is_line) continue;
        if (next < error_end_ && polled_[next].revents != 0) Processes::DrainError(process);
        ++next;
      }
      forwarder_->Serve(polled_.data() + error_end_);
      // Last: a request may change what the entries above stand for.
      if (polled_[0].revents != 0 && !ReceiveAndHandle()) return 0;
    }
  }

 private:
  void Wait(int wait_ms) {
    polled_.clear();
    polled_.push_back({control_, POLLIN, 0});
    polled_.push_back({signals_, POLLIN, 0});
    for (const Processes::Tracked& process : processes_.all()) {
      if (process.is_line) polled_.push_back({process.error.get(), POLLIN, 0});
    }
    error_end_ = polled_.size();
    forwarder_->Prepare(&polled_);
    if (poll(polled_.data(), polled_.size(), wait_ms) < 0) {
      for (pollfd& entry : polled_) entry.revents = 0;
    }
  }

  void TakeExits() {
    signalfd_siginfo info[16];
    while (read(signals_, info, sizeof info) > 0) {
    }
    for (const Processes::Exit& exit : processes_.Reap()) {
      Send(WireWriter(Op::kExited)
               .Int(exit.id)
               .Int(static_cast<uint32_t>(exit.status))
               .Int(exit.cpu_us)
               .Int(exit.filled_bytes)
               .Int(exit.resident_kib)
               .Int(FlagsOf(exit)));
    }
  }

  static uint64_t FlagsOf(const Processes::Exit& exit) {
    uint64_t flags = exit.hit_cpu_limit ? kHitCpuLimit : 0;
    const bool file_full = WIFSIGNALED(exit.status) && WTERMSIG(exit.status) == SIGXFSZ;
    if (file_full || exit.file_system_full) flags |= kHitDiskLimit;
    return flags;
  }

  bool Send(const WireWriter& writer) {
    const std::string& body = writer.body();
    const uint32_t size = static_cast<uint32_t>(body.size());
    return SendBytes(&size, sizeof size, MSG_MORE) && SendBytes(body.data(), body.size(), 0);
  }

  bool SendBytes(const void* data, size_t size, int flags) {
    const char* bytes = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t sent = send(control_, bytes, size, MSG_NOSIGNAL | flags);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return false;
      bytes += sent;
      size -= static_cast<size_t>(sent);
    }
    return true;
  }

  // Reads exactly `size` bytes and takes the descriptors that come with them.
  bool ReadBytes(void* data, size_t size) {
    char* bytes = static_cast<char*>(data);
    while (size > 0) {
      iovec part{bytes, size};
      alignas(cmsghdr) char space[CMSG_SPACE(kFdsMax * sizeof(int))];
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = space;
      message.msg_controllen = sizeof space;
      const ssize_t received = recvmsg(control_, &message, MSG_CMSG_CLOEXEC);
      if (received < 0 && errno == EINTR) continue;
      if (received <= 0) return false;
      for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
           header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
          int fd;
          std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
          fds_.emplace_back(fd);
        }
      }
      bytes += received;
      size -= static_cast<size_t>(received);
    }
    return true;
  }

  bool ReceiveAndHandle() {
    uint32_t size = 0;
    fds_.clear();
    if (!ReadBytes(&size, sizeof size) || size == 0 || size > kFrameBytesMax) return false;
    std::string body(size, '\0');
    if (!ReadBytes(body.data(), size)) return false;
    WireReader reader(body);
    return Handle(reader);
  }

  bool Reply(int error, const char* what = "") {
    if (error == 0) return Send(WireWriter(Op::kOk));
    return Send(WireWriter(Op::kError).Int(static_cast<uint32_t>(error)).Bytes(what));
  }

  bool Handle(WireReader& reader) {
    const SendFrame send = [this](const WireWriter& writer) { return Send(writer); };
    switch (reader.op()) {
      case Op::kRun:
      case Op::kStart:
        return StartProcess(reader);
      case Op::kKill:
        if (const Processes::Tracked* process = processes_.Find(reader.Int())) {
          processes_.Kill(*process);
        }
        return true;
      case Op::kStop:
        processes_.Stop(reader.Int());
        return Reply(0);
      case Op::kSignal: {
        const uint64_t id = reader.Int();
        const uint64_t number = reader.Int();
        if (number == 0 || number >= NSIG) return Reply(EINVAL);
        processes_.Signal(id, static_cast<int>(number));
        return Reply(0);
      }
      case Op::kErrorOutput:
        return SendErrorOutput(reader.Int());
      case Op::kPut:
        return Reply(PutFiles(reader));
      case Op::kRemove: {
        for (const std::string& path : reader.List()) {
          if (const int error = RemovePath(path); error != 0) return Reply(error, path.c_str());
        }
        return Reply(0);
      }
      case Op::kClear:
        return Reply(ClearFolder(reader.Bytes()));
      case Op::kGet: {
        const std::string_view path = reader.Bytes();
        return Reply(GetFile(path, reader.Int(), send));
      }
      case Op::kCollect: {
        const std::string_view path = reader.Bytes();
        const uint64_t files_max = reader.Int();
        return Reply(CollectFiles(path, files_max, reader.Int(), send));
      }
      case Op::kKillAll:
        processes_.KillAll();
        return Reply(0);
      default:
        return false;
    }
  }

  bool StartProcess(WireReader& reader) {
    const bool is_line = reader.op() == Op::kStart;
    ProcessRequest request;
    request.folder = reader.Bytes();
    TimeLimits times;
    times.wall_ms = static_cast<int64_t>(reader.Int());
    times.cpu_ms = static_cast<int64_t>(reader.Int());
    request.argv = reader.List();
    request.variables = reader.List();
    if (!reader.Done() || fds_.size() != kFdsMax) return false;
    request.input = std::move(fds_[0]);
    request.output = std::move(fds_[1]);
    if (!is_line) request.error = std::move(fds_[2]);
    const std::string folder = request.folder;
    bool folder_failed = false;
    Processes::Tracked* process =
        processes_.Start(std::move(request), is_line, times, &folder_failed);
    if (process == nullptr) return Reply(errno, folder_failed ? folder.c_str() : "");
    if (is_line) process->life = std::move(fds_[2]);
    return Send(WireWriter(Op::kStarted).Int(process->id));
  }

  bool SendErrorOutput(uint64_t id) {
    std::string tail;
    if (Processes::Tracked* process = processes_.Find(id)) {
      if (process->error.valid()) Processes::DrainError(*process);
      tail = process->error_tail;
      if (tail.size() > kLineBytesMax) tail.erase(0, tail.size() - kLineBytesMax);
    }
    return Send(WireWriter(Op::kData).Bytes(tail)) && Reply(0);
  }

  int control_;
  int signals_;
  Forwarder* forwarder_;
  Processes processes_;
  std::vector<pollfd> polled_;
  size_t error_end_ = 2;
  std::vector<UniqueFd> fds_;
};

}  // namespace

int Serve(const std::vector<std::string>& arguments) {
  if (arguments.size() != 7) return 2;
  const auto number = [&](size_t index) {
    return std::strtoull(arguments[index].c_str(), nullptr, 10);
  };
  const int control = static_cast<int>(number(0));
  ProcessLimits limits;
  limits.processes = number(1);
  limits.address_bytes = number(2);
  limits.file_bytes = number(3);
  limits.open_files = number(4);

  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
  // Everything else that came along is closed; the control socket is not for children.
  dup2(control, 3);
  if (syscall(SYS_close_range, 4U, ~0U, 0U) != 0) return 1;
  fcntl(3, F_SETFD, FD_CLOEXEC);
  UniqueFd score(open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  // Neither readable nor traceable by what runs here under the same user.
  prctl(PR_SET_DUMPABLE, 0);
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return 1;
  umask(022);

  // The first stands without it.
  if (arguments[6] == "second-wall") RaiseSecondWall();

  Forwarder forwarder;
  if (!arguments[5].empty() && !forwarder.Listen(arguments[5])) return 1;
  return Agent(3, signals, limits, std::move(score), &forwarder).Serve();
}

}  // namespace taskmint::sandbox
