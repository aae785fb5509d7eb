// A Sandbox that speaks to the agent over its channel.
#ifndef TASKMINT_SANDBOX_AGENT_SANDBOX_H_
#define TASKMINT_SANDBOX_AGENT_SANDBOX_H_

#include <memory>
#include <string>
#include <vector>

#include "sandbox/bubblewrap.h"
#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

class AgentSandbox final : public Sandbox {
 public:
  AgentSandbox(std::shared_ptr<Session> session, const SandboxSpec& spec);
  ~AgentSandbox() override;

  Result<CommandResult> Run(const Command& command, std::stop_token stop) override;
  Result<std::unique_ptr<LineProcess>> Start(const Command& command) override;
  Status Put(const FileTree& tree, std::string_view path, int64_t modified_s) override;
  Status Remove(const std::vector<std::string>& paths) override;
  Status Clear(std::string_view path) override;
  Result<std::string> Get(std::string_view path, int64_t bytes_max) override;
  Result<FileTree> Collect(std::string_view path, const CollectLimits& limits) override;
  Status KillAll() override;
  bool HostRanOutOfMemory() override;
  int64_t MemoryKills() override;

 private:
  Status Simple(const WireWriter& request, std::string_view what);

  std::shared_ptr<Session> session_;
  std::string work_path_;
};

// Pieces that the sandbox and its line processes share.

// A frame that asks for a process: kRun or kStart.
Result<WireWriter> ProcessFrame(Op op, const Session& session, const Command& command,
                                const std::string& work_path);
// A pipe whose inner end the slot's user may open again (/dev/stdout).
Result<std::pair<UniqueFd, UniqueFd>> MakeOutputPipe(const Session& session);
// Inner and outer end of a pipe likewise the other way round; the outer end does not block.
Result<std::pair<UniqueFd, UniqueFd>> MakeInputPipe(const Session& session);
// The error that a kError frame stands for; closes the channel when the frame is malformed.
Status ErrorFromAgent(WireReader& reader, Session& session, std::string_view what);
// Waits for kOk. Errors as ErrorFromAgent.
Status AwaitOk(Session& session, std::string_view what);
// How long the agent may think about one request.
inline constexpr int64_t kReplyMsMax = 120'000;

Result<std::unique_ptr<LineProcess>> StartLineProcess(std::shared_ptr<Session> session,
                                                      const Command& command,
                                                      const std::string& work_path);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_SANDBOX_H_
