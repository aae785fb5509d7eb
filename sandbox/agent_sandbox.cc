#include "sandbox/agent_sandbox.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "proto/base/utf8.h"
#include "sandbox/collected_tree.h"
#include "sandbox/errors.h"
#include "sandbox/root_layout.h"

namespace taskmint::sandbox {
namespace {

Code CodeOfErrno(int number) {
  switch (number) {
    case ENOENT:
      return Code::kNotFound;
    case ENOSPC:
    case EDQUOT:
    case EOVERFLOW:
    case EFBIG:
    case EMFILE:
    case ENOMEM:
    case EAGAIN:
    case E2BIG:
    case ETIMEDOUT:
      return Code::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
      return Code::kInvalidArgument;
    case EPROTO:
      return Code::kInternal;
    case ENFILE:  // of the whole machine
      return Code::kUnavailable;
    default:
      return Code::kFailedPrecondition;
  }
}

// A tree to be read or written is bounded, by limits of its own and the file system's: what else
// runs out is the machine's.
Code CodeOfTree(int number) {
  switch (number) {
    case EIO:
    case EMFILE:
    case ENOMEM:
      return Code::kUnavailable;
    default:
      return CodeOfErrno(number);
  }
}

std::string Reason(int number) {
  switch (number) {
    case EOVERFLOW:
      return "more than the limit";
    case EISDIR:
      return "not a regular file";
    case ELOOP:
    case ENOTDIR:
      return "behind a symbolic link or a file";
    case EAGAIN:
      return "no process is left: too many run inside";
    default:
      return std::strerror(number);
  }
}

// Only paths that the agent walks component by component.
Status CheckPath(std::string_view path) {
  if (IsPlainAbsolutePath(std::string(path))) return OkStatus();
  return Error(Code::kInvalidArgument,
               "not a plain absolute path inside: '" + Printable(path.substr(0, 200)) + "'");
}

Status ErrorWithCode(WireReader& reader, Session& session, std::string_view what,
                     Code (*code_of)(int)) {
  const uint64_t number = reader.Int();
  const std::string_view detail = reader.Bytes();
  if (!reader.Done() || number == 0 || number > 4095) {
    session.channel->Close();
    return Error(Code::kUnavailable, "the sandbox's agent sent nonsense");
  }
  const int error = static_cast<int>(number);
  std::string subject(what);
  if (detail.starts_with("/")) subject += " at " + std::string(detail.substr(0, 4096));
  return Error(code_of(error), Printable(subject) + ": " + Reason(error));
}

Status AwaitOkWithCode(Session& session, std::string_view what, Code (*code_of)(int)) {
  TASKMINT_ASSIGN_OR_RETURN(const std::string body, session.channel->Receive(kReplyMsMax));
  WireReader reader(body);
  if (reader.op() == Op::kError) return ErrorWithCode(reader, session, what, code_of);
  if (reader.op() == Op::kOk && reader.Done()) return OkStatus();
  session.channel->Close();
  return Error(Code::kUnavailable, "the sandbox's agent sent nonsense");
}

// A pipe of which the slot's user may open the end numbered `inner` again.
Result<std::pair<UniqueFd, UniqueFd>> MakePipe(const Session& session, size_t inner) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Error(Code::kUnavailable, std::string("no descriptors are left: ") + strerror(errno));
  }
  std::pair<UniqueFd, UniqueFd> result{UniqueFd(ends[0]), UniqueFd(ends[1])};
  const uid_t uid = session.slot.uid();
  if (uid != 0 && ::fchown(ends[inner], uid, uid) != 0) {
    return Error(Code::kUnavailable, std::string("cannot hand over a pipe: ") + strerror(errno));
  }
  return result;
}

}  // namespace

Status ErrorFromAgent(WireReader& reader, Session& session, std::string_view what) {
  return ErrorWithCode(reader, session, what, CodeOfErrno);
}

Status AwaitOk(Session& session, std::string_view what) {
  return AwaitOkWithCode(session, what, CodeOfErrno);
}

Result<std::pair<UniqueFd, UniqueFd>> MakeOutputPipe(const Session& session) {
  TASKMINT_ASSIGN_OR_RETURN(auto ends, MakePipe(session, 1));
  ::fcntl(ends.first.get(), F_SETFL, O_NONBLOCK);
  return ends;
}

Result<std::pair<UniqueFd, UniqueFd>> MakeInputPipe(const Session& session) {
  TASKMINT_ASSIGN_OR_RETURN(auto ends, MakePipe(session, 0));
  ::fcntl(ends.second.get(), F_SETFL, O_NONBLOCK);
  return ends;
}

AgentSandbox::AgentSandbox(std::shared_ptr<Session> session, const SandboxSpec& spec)
    : session_(std::move(session)), work_path_(spec.work_path) {}

AgentSandbox::~AgentSandbox() { session_->Kill(); }

Result<std::unique_ptr<LineProcess>> AgentSandbox::Start(const Command& command) {
  return StartLineProcess(session_, command, work_path_);
}

Status AgentSandbox::Simple(const WireWriter& request, std::string_view what) {
  TASKMINT_RETURN_IF_ERROR(session_->channel->Send(request));
  return AwaitOk(*session_, what);
}

Status AgentSandbox::Put(const FileTree& tree, std::string_view path, int64_t modified_s) {
  TASKMINT_RETURN_IF_ERROR(CheckPath(path));
  const auto begin = [&] {
    WireWriter batch(Op::kPut);
    batch.Bytes(path).Int(static_cast<uint64_t>(modified_s));
    return batch;
  };
  WireWriter batch = begin();
  const size_t empty_size = batch.size();
  const auto send = [&](const WireWriter& request) -> Status {
    TASKMINT_RETURN_IF_ERROR(session_->channel->Send(request));
    return AwaitOkWithCode(*session_, "put " + std::string(path), CodeOfTree);
  };
  for (const auto& [name, entry] : tree.files()) {
    std::string_view rest = *entry.content;
    FilePart part;
    part.path = name;
    part.kind = entry.kind == FileEntry::Kind::kSymlink      ? FilePart::kSymlink
                : entry.kind == FileEntry::Kind::kExecutable ? FilePart::kExecutable
                                                             : FilePart::kRegular;
    if (part.kind == FilePart::kSymlink && rest.size() > 4095) {
      return Error(Code::kInvalidArgument, "the link '" + Printable(name) + "' is too long");
    }
    do {
      if (batch.size() > empty_size &&
          batch.size() + name.size() + std::min(rest.size(), kBatchBytesMax) > kBatchBytesMax) {
        TASKMINT_RETURN_IF_ERROR(send(batch));
        batch = begin();
      }
      part.content = rest.substr(0, kBatchBytesMax);
      WriteFilePart(part, batch);
      rest.remove_prefix(part.content.size());
      part.append = true;
    } while (!rest.empty());
  }
  return send(batch);
}

Status AgentSandbox::Remove(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) TASKMINT_RETURN_IF_ERROR(CheckPath(path));
  // In pieces that fit a frame.
  std::vector<std::string> some;
  size_t bytes = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    some.push_back(paths[i]);
    bytes += paths[i].size() + 8;
    if (bytes < kBatchBytesMax && i + 1 < paths.size()) continue;
    TASKMINT_RETURN_IF_ERROR(Simple(WireWriter(Op::kRemove).List(some), "remove"));
    some.clear();
    bytes = 0;
  }
  return OkStatus();
}

Status AgentSandbox::Clear(std::string_view path) {
  TASKMINT_RETURN_IF_ERROR(CheckPath(path));
  return Simple(WireWriter(Op::kClear).Bytes(path), "clear " + std::string(path));
}

Result<std::string> AgentSandbox::Get(std::string_view path, int64_t bytes_max) {
  TASKMINT_RETURN_IF_ERROR(CheckPath(path));
  if (bytes_max < 0) return Error(Code::kInvalidArgument, "bytes_max must not be negative");
  TASKMINT_RETURN_IF_ERROR(session_->channel->Send(
      WireWriter(Op::kGet).Bytes(path).Int(static_cast<uint64_t>(bytes_max))));
  std::string content;
  while (true) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string body, session_->channel->Receive(kReplyMsMax));
    WireReader reader(body);
    if (reader.op() == Op::kError) {
      return ErrorFromAgent(reader, *session_, "get " + std::string(path));
    }
    if (reader.op() == Op::kOk && reader.Done()) return content;
    content += reader.Bytes();
    if (reader.op() == Op::kData && reader.Done() &&
        content.size() <= static_cast<uint64_t>(bytes_max)) {
      continue;
    }
    session_->channel->Close();
    return Error(Code::kUnavailable, "the sandbox's agent sent nonsense");
  }
}

Result<FileTree> AgentSandbox::Collect(std::string_view path, const CollectLimits& limits) {
  TASKMINT_RETURN_IF_ERROR(CheckPath(path));
  if (limits.files_max < 0 || limits.bytes_max < 0) {
    return Error(Code::kInvalidArgument, "limits must not be negative");
  }
  TASKMINT_RETURN_IF_ERROR(
      session_->channel->Send(WireWriter(Op::kCollect)
                                  .Bytes(path)
                                  .Int(static_cast<uint64_t>(limits.files_max))
                                  .Int(static_cast<uint64_t>(limits.bytes_max))));
  CollectedTree collected(limits);
  while (true) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string body, session_->channel->Receive(kReplyMsMax));
    WireReader reader(body);
    if (reader.op() == Op::kError) {
      return ErrorWithCode(reader, *session_, "collect " + std::string(path), CodeOfTree);
    }
    if (reader.op() == Op::kOk && reader.Done()) {
      Result<FileTree> tree = collected.Take();
      if (!tree.ok()) session_->channel->Close();
      return tree;
    }
    const Status added = reader.op() == Op::kFiles
                             ? collected.Add(reader)
                             : Error(Code::kUnavailable, "the sandbox's agent sent nonsense");
    if (!added.ok()) {
      session_->channel->Close();
      return added;
    }
  }
}

Status AgentSandbox::KillAll() { return Simple(WireWriter(Op::kKillAll), "kill all"); }

bool AgentSandbox::HostRanOutOfMemory() {
  return session_->cgroup != nullptr && session_->cgroup->HostRanOutOfMemory();
}

int64_t AgentSandbox::MemoryKills() {
  return session_->cgroup != nullptr ? static_cast<int64_t>(session_->cgroup->MemoryKills()) : 0;
}

}  // namespace taskmint::sandbox
