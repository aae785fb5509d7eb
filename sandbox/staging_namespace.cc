#include "sandbox/staging_namespace.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "proto/base/log.h"
#include "proto/base/utf8.h"
#include "sandbox/agent/staging.h"
#include "sandbox/errors.h"
#include "sandbox/process.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kWaitMsMax = 10'000;

// The descriptors that come with a byte: of the mount namespace, and of its owner or nothing.
Status Receive(int socket, UniqueFd* mounts, UniqueFd* owner) {
  char byte = 0;
  iovec part{&byte, 1};
  int fds[2] = {-1, -1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fds)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  pollfd readable{socket, POLLIN, 0};
  if (::poll(&readable, 1, kWaitMsMax) != 1 || ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) {
    return Error(Code::kUnavailable, "it does not answer");
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    return Error(Code::kUnavailable, "it answers nonsense");
  }
  std::memcpy(fds, CMSG_DATA(header), std::min(header->cmsg_len - CMSG_LEN(0), sizeof fds));
  mounts->reset(fds[0]);
  owner->reset(fds[1]);
  return OkStatus();
}

std::string FirstWords(int fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string text(1024, '\0');
  const ssize_t size = ::read(fd, text.data(), text.size());
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return Printable(text.substr(0, text.find('\n')));
}

// What of this machine is shown, with all that is below.
const std::vector<std::string>& Shown() {
  static const std::vector<std::string> shown = [] {
    std::vector<std::string> all(std::begin(kStagedTops), std::end(kStagedTops));
    all.insert(all.end(), {"/usr", "/etc/alternatives"});
    return all;
  }();
  return shown;
}

// Which of them there are, and what they are.
std::string TopsNow() {
  std::string tops;
  for (const std::string& path : Shown()) {
    struct stat info;
    std::array<char, 4096> target;
    if (::lstat(path.c_str(), &info) != 0) continue;
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    tops += path + " " + std::to_string(info.st_dev) + " " + std::to_string(info.st_ino) + " " +
            std::string(target.data(), size > 0 ? static_cast<size_t>(size) : 0) + "\n";
  }
  return tops;
}

bool IsShown(const std::string& mount_point) {
  return std::any_of(Shown().begin(), Shown().end(), [&](const std::string& path) {
    return mount_point == path || mount_point.starts_with(path + "/");
  });
}

// Those of the machine's mounts that are shown, which is few of them: containers come and go. Read
// from /proc/self/mountinfo, which is open, since no descriptor may be left.
std::string MountsIn(int mount_table) {
  std::string text;
  std::array<char, 65536> piece;
  for (ssize_t size = 0; (size = ::pread(mount_table, piece.data(), piece.size(),
                                         static_cast<off_t>(text.size()))) > 0;) {
    text.append(piece.data(), static_cast<size_t>(size));
  }
  std::string mounts;
  std::istringstream table(text);
  for (std::string line; std::getline(table, line);) {
    // Number, number of the parent, device, root, mount point, ...
    std::istringstream fields(line);
    std::string skipped, mount_point;
    fields >> skipped >> skipped >> skipped >> skipped >> mount_point;
    if (IsShown(mount_point)) mounts += line + "\n";
  }
  return mounts;
}

}  // namespace

Result<std::shared_ptr<const StagingNamespace>> StagingNamespace::Make(const UniqueFd& agent) {
  int sockets[2];
  int errors[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Error(Code::kUnavailable, std::string("no descriptors are left: ") + strerror(errno));
  }
  const UniqueFd ours(sockets[0]);
  UniqueFd its(sockets[1]);
  if (::pipe2(errors, O_CLOEXEC) != 0) {
    return Error(Code::kUnavailable, std::string("no descriptors are left: ") + strerror(errno));
  }
  const UniqueFd error_read(errors[0]);
  UniqueFd error_write(errors[1]);
  SpawnRequest request;
  request.program = "/proc/self/fd/" + std::to_string(agent.get());
  request.arguments = {"staging", std::to_string(its.get())};
  request.kept_fds = {its.get()};
  request.error_fd = error_write.get();
  TASKMINT_ASSIGN_OR_RETURN(ChildProcess child, Spawn(request));
  its.reset();
  error_write.reset();
  UniqueFd mounts;
  UniqueFd owner;
  const Status received = Receive(ours.get(), &mounts, &owner);
  if (!received.ok() || !child.Wait(kWaitMsMax) || child.status() != 0) {
    const std::string said = FirstWords(error_read.get());
    return Error(Code::kUnavailable,
                 "our launcher may not mount here: " + (said.empty() ? received.message() : said));
  }
  return std::shared_ptr<const StagingNamespace>(
      new StagingNamespace(std::move(mounts), std::move(owner)));
}

Result<std::unique_ptr<Staging>> Staging::Make(const UniqueFd& agent) {
  std::unique_ptr<Staging> staging(new Staging(agent));
  staging->mount_table_.reset(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  staging->tops_ = TopsNow();
  staging->mounts_ = MountsIn(staging->mount_table_.get());
  auto made = StagingNamespace::Make(agent);
  // Once more, lest a busy machine takes a wall from all sandboxes of this process.
  if (!made.ok()) made = StagingNamespace::Make(agent);
  if (!made.ok()) return made.status();
  staging->current_ = std::move(*made);
  return staging;
}

void Staging::LookForChanges() {
  std::string tops = TopsNow();
  is_stale_ = is_stale_ || tops != tops_;
  tops_ = std::move(tops);
  pollfd table{mount_table_.get(), POLLPRI, 0};
  if (::poll(&table, 1, 0) <= 0) return;
  std::string mounts = MountsIn(mount_table_.get());
  is_stale_ = is_stale_ || mounts != mounts_;
  mounts_ = std::move(mounts);
}

std::shared_ptr<const StagingNamespace> Staging::Current() {
  const std::lock_guard lock(mutex_);
  LookForChanges();
  if (!is_stale_) return current_;
  if (auto made = StagingNamespace::Make(agent_); made.ok()) {
    current_ = std::move(*made);
    is_stale_ = false;
  } else {
    Log(LogLevel::kWarning, "mounts have changed, and a sandbox is opened on the former ones",
        {{"reason", made.status().message()}});
  }
  return current_;
}

}  // namespace taskmint::sandbox
