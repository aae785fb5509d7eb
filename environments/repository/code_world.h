// The world of a code task: the repository before the fix, in a sandbox without a network.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CODE_WORLD_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CODE_WORLD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "environments/repository/language_driver.h"
#include "environments/world.h"

namespace taskmint::environments {

// Files larger than this are for bash, not for read_file and edit_file.
inline constexpr int64_t kToolFileBytesMax = 16 << 20;

// What may be in the work folder at the end.
inline constexpr sandbox::CollectLimits kFinalTreeLimits = {100'000, int64_t{512} << 20};

// The tools of CodeTools over one sandbox, isolated as a test session is. Paths are relative to the
// work folder or absolute; links lead to where they lead inside, and nowhere else. The final state
// is the work folder without what the driver knows as derived: byte code holds the times of edits.
class CodeWorld : public World {
 public:
  // Opens the sandbox at once, so that a machine that cannot isolate says so before anybody acts,
  // and no call pays for it. Costs a sandbox and the writing of `tree`. Errors are of the sandbox
  // boundary; RESOURCE_EXHAUSTED where the tree does not fit.
  static Result<std::unique_ptr<CodeWorld>> Open(sandbox::SandboxHost& sandboxes,
                                                 const LanguageDriver& driver,
                                                 const v1::RepositoryEnvironment& environment,
                                                 const BuiltEnvironment& built,
                                                 const FileTree& tree, std::stop_token stop);

  Result<ToolOutcome> Call(const std::string& tool, const std::string& arguments_json,
                           std::stop_token stop) override;
  Result<FileTree> FinalTree(std::stop_token stop) override;

  // A file as it is, for an editor outside; nothing where there is none. Errors of the tool
  // boundary say why it cannot be edited; of the sandbox boundary, as Call.
  Result<std::optional<std::string>> ReadWhole(const std::string& path, std::stop_token stop);

 private:
  // A regular file inside, or where one could be.
  struct Place {
    std::string path;  // absolute, without links
    std::optional<std::string> content;
  };

  CodeWorld(std::unique_ptr<sandbox::Sandbox> sandbox, const LanguageDriver& driver,
            int64_t memory_bytes_max)
      : sandbox_(std::move(sandbox)), driver_(driver), memory_bytes_max_(memory_bytes_max) {}

  // A Status of the tool boundary is a refusal that the agent reads.
  Result<ToolOutcome> Dispatch(const std::string& tool, const std::string& arguments_json,
                               std::stop_token stop);
  Result<ToolOutcome> Bash(const std::string& command, int64_t timeout_s, std::stop_token stop);
  Result<ToolOutcome> ReadFile(const std::string& path, int64_t from, int64_t lines,
                               std::stop_token stop);
  Result<ToolOutcome> EditFile(const std::string& path, const std::string& old_text,
                               const std::string& new_text, std::stop_token stop);
  Status Replace(const Place& place, const std::string& content, const std::stop_token& stop);
  Result<Place> Find(const std::string& path, const std::stop_token& stop);
  Result<std::string> Resolve(const std::string& path, const std::stop_token& stop);
  Result<sandbox::CommandResult> RunTool(std::vector<std::string> argv,
                                         const std::stop_token& stop);
  // Before and after each use: whether the sandbox outlived what the kernel has killed since the
  // last time. Then these kills explain no failure that comes after them; else as AfterFailure. The
  // machine's kills are final.
  void SettleKills();
  // What a failure of the sandbox is: a refusal where the kernel ended it because it had used up
  // its own memory, which is the agent's doing; else the machine's, and final.
  Status AfterFailure(const Status& status);

  std::unique_ptr<sandbox::Sandbox> sandbox_;
  const LanguageDriver& driver_;
  const int64_t memory_bytes_max_;
  // Why nothing can be called or collected any more, by the agent's own doing; OK until then.
  Status ruined_;
  // The same by the machine's: what every later use returns.
  Status lost_;
  int64_t kills_settled_ = 0;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CODE_WORLD_H_
