#include "sandbox/socket_server.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "proto/base/log.h"
#include "sandbox/errors.h"
#include "sandbox/process_mark.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kConnectionsMax = 64;
constexpr int64_t kRestMs = 50;
constexpr char kFolderPrefix[] = "taskmint-proxy-";

// Folders are named after the process: those of dead ones are left over from a kill -9.
void SweepFolders(const std::string& temporary) {
  DIR* stream = ::opendir(temporary.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kFolderPrefix)) continue;
    if (!IsOfDeadProcess(name.substr(sizeof kFolderPrefix - 1))) continue;
    const std::string folder = temporary + "/" + entry->d_name;
    // Anybody may put a link there.
    const UniqueFd place(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info;
    if (!place.valid() || ::fstat(place.get(), &info) != 0 || info.st_uid != ::geteuid()) continue;
    ::unlinkat(place.get(), "socket", 0);
    ::rmdir(folder.c_str());
  }
  ::closedir(stream);
}

}  // namespace

bool AwaitSocket(int fd, short events, int stop_fd, int64_t wall_ms_max) {
  pollfd polled[2] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
  int count;
  do {
    count = ::poll(polled, 2, static_cast<int>(wall_ms_max));
  } while (count < 0 && errno == EINTR);
  return count > 0 && polled[1].revents == 0;
}

bool SendAll(int fd, std::string_view bytes, int stop_fd, int64_t idle_ms_max) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size > 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (size < 0 && errno == EAGAIN) {
      if (!AwaitSocket(fd, POLLOUT, stop_fd, idle_ms_max)) return false;
    } else if (size == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

Result<std::unique_ptr<SocketServer>> SocketServer::Start(Serve serve) {
  std::unique_ptr<SocketServer> server(new SocketServer(std::move(serve)));
  TASKMINT_RETURN_IF_ERROR(server->Listen());
  return server;
}

SocketServer::~SocketServer() {
  if (stop_.valid()) ::eventfd_write(stop_.get(), 1);
  if (acceptor_.joinable()) acceptor_.join();
  workers_.clear();
  listener_.reset();
  if (folder_.empty()) return;
  ::unlink(socket_path_.c_str());
  ::rmdir(folder_.c_str());
}

Status SocketServer::Listen() {
  std::error_code error;
  std::filesystem::path temporary = std::filesystem::temp_directory_path(error);
  // The path of a unix socket has 107 bytes.
  if (error || temporary.native().size() > 60) temporary = "/tmp";
  SweepFolders(temporary.native());
  std::string pattern = temporary.native() + "/" + kFolderPrefix + ProcessMark() + "-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    return Error(Code::kUnavailable,
                 "cannot make a folder in " + temporary.native() + ": " + std::strerror(errno));
  }
  folder_ = pattern;
  socket_path_ = folder_ + "/socket";
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path_.copy(address.sun_path, sizeof address.sun_path - 1);
  // The folder keeps others out; a sandbox is shown the socket alone, as a user of its own.
  if (!stop_.valid() || !listener_.valid() ||
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(socket_path_.c_str(), 0666) != 0 || ::listen(listener_.get(), 128) != 0) {
    return Error(Code::kUnavailable,
                 "cannot listen on " + socket_path_ + ": " + std::strerror(errno));
  }
  acceptor_ = std::jthread([this] { AcceptLoop(); });
  return OkStatus();
}

void SocketServer::AcceptLoop() {
  while (true) {
    workers_.remove_if([](const Worker& worker) { return worker.done.load(); });
    const bool room = workers_.size() < kConnectionsMax;
    pollfd polled[2] = {{room ? listener_.get() : -1, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(polled, 2, room ? 1000 : 50);
    if (polled[1].revents != 0) return;
    if (polled[0].revents == 0) continue;
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // No descriptor may be left, and the next look would not wait.
      AwaitSocket(stop_.get(), POLLIN, stop_.get(), kRestMs);
      continue;
    }
    Worker& worker = workers_.emplace_back();
    try {
      worker.thread = std::jthread([this, fd, &worker] {
        UniqueFd client(fd);
        try {
          serve_(std::move(client), stop_.get());
        } catch (const std::exception& error) {
          Log(LogLevel::kWarning, "connection failed", {{"error", error.what()}});
        }
        worker.done = true;
      });
    } catch (const std::system_error&) {
      ::close(fd);
      workers_.pop_back();
    }
  }
}

}  // namespace taskmint::sandbox
