#include "environments/repository/patch.h"

#include <re2/re2.h>
#include <signal.h>

#include <string>

#include "environments/errors.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

constexpr size_t kPatchBytesMax = 64 << 20;
constexpr int64_t kWallMsMax = 120'000;
constexpr int64_t kDiskBytesMax = int64_t{2} << 30;
constexpr int64_t kModifiedS = 1'000'000'000;
constexpr int kErrorLinesMax = 4;

// The first lines of git's own words, on one line.
std::string FirstLines(const std::string& text) {
  std::string lines;
  int count = 0;
  size_t begin = 0;
  while (begin < text.size() && count < kErrorLinesMax) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) {
      if (count++ > 0) lines += "; ";
      lines += text.substr(begin, std::min<size_t>(end - begin, 300));
    }
    begin = end + 1;
  }
  return Printable(lines);
}

// What the way a patch is written explains about its failure.
std::string Hint(const std::string& patch) {
  static const RE2 kPrefixed(R"((?m)^(?:\+\+\+ "?b/|--- "?a/|diff --git "?a/))");
  static const RE2 kUnprefixed(R"((?m)^\+\+\+ [^\s])");
  static const RE2 kCarriageReturns(R"((?m)^(?:diff --git|---|\+\+\+|@@) .*\r$)");
  static const RE2 kContext(R"((?m)^\*\*\* \S)");
  if (RE2::PartialMatch(patch, kCarriageReturns)) {
    return "; the patch has CRLF line ends: write it with LF";
  }
  if (!RE2::PartialMatch(patch, kPrefixed) && RE2::PartialMatch(patch, kUnprefixed)) {
    return "; paths need the prefixes a/ and b/, as `git diff` writes them";
  }
  if (!RE2::PartialMatch(patch, kUnprefixed) && !RE2::PartialMatch(patch, kPrefixed)) {
    return RE2::PartialMatch(patch, kContext)
               ? "; context diffs are not supported: write a unified one with `git diff`"
               : "; write it with `git diff` or `git format-patch`";
  }
  return "";
}

// The machine's failure, which says nothing about the patch.
Status MachineError(std::string message) {
  return {Code::kUnavailable, Boundary::kSandbox, std::move(message)};
}

Status ExplainFailure(const sandbox::CommandResult& result, const std::string& patch,
                      bool host_ran_out) {
  if (host_ran_out) return MachineError("this machine ran out of memory while git applied a patch");
  switch (result.ending) {
    case sandbox::Ending::kCancelled:
      return Error(Code::kCancelled, "applying the patch was cancelled");
    case sandbox::Ending::kWallTime:
      return MachineError("git took longer than " + std::to_string(kWallMsMax / 1000) +
                          " s to apply the patch");
    case sandbox::Ending::kExited:
      break;
    case sandbox::Ending::kSignalled:
      if (result.signal != SIGXFSZ) {
        return MachineError("git was killed by signal " + std::to_string(result.signal) +
                            " while it applied the patch");
      }
      [[fallthrough]];
    default:
      return Error(Code::kResourceExhausted,
                   "the patch expands beyond the limits of the sandbox (" +
                       std::string(sandbox::EndingName(result.ending)) + ")");
  }
  if (result.error_output.find("No space left on device") != std::string::npos) {
    return Error(Code::kResourceExhausted,
                 "the patched files need more than " + std::to_string(kDiskBytesMax) + " bytes");
  }
  std::string words = result.error_output.empty() ? result.output : result.error_output;
  static const RE2 kForeignOption(R"( \(allow with "--allow-empty"\))");
  RE2::Replace(&words, kForeignOption, "");
  return Error(Code::kInvalidArgument,
               "the patch does not apply: " + FirstLines(words) + Hint(patch));
}

}  // namespace

Result<FileTree> ApplyPatch(sandbox::SandboxHost& host, const FileTree& base,
                            std::string_view patch, std::stop_token stop) {
  if (patch.find_first_not_of(" \t\r\n") == std::string_view::npos) return base;
  if (patch.size() > kPatchBytesMax) {
    return Error(Code::kResourceExhausted, "the patch has " + std::to_string(patch.size()) +
                                               " bytes, at most " + std::to_string(kPatchBytesMax) +
                                               " are taken");
  }
  sandbox::SandboxSpec spec;
  spec.limits.disk_bytes_max = kDiskBytesMax;
  TASKMINT_ASSIGN_OR_RETURN(const std::unique_ptr<sandbox::Sandbox> box, host.Open(spec, stop));
  TASKMINT_RETURN_IF_ERROR(box->Put(base, spec.work_path, kModifiedS));

  sandbox::Command command;
  // Outside a repository git takes no path that leaves the folder or passes a symbolic link, and
  // never guesses at a hunk that does not match.
  command.argv = {"git", "apply", "--whitespace=nowarn", "-p1", "-"};
  command.variables = {{"GIT_DIR", "/nonexistent"},  // a .git among the files is not a repository
                       {"GIT_CONFIG_NOSYSTEM", "1"},
                       {"GIT_CONFIG_GLOBAL", "/dev/null"},
                       {"GIT_ATTR_NOSYSTEM", "1"},
                       {"LC_ALL", "C"}};
  command.input = patch;
  if (command.input.back() != '\n') command.input += '\n';
  command.wall_ms_max = kWallMsMax;
  Result<sandbox::CommandResult> result = box->Run(command, stop);
  const Code code = result.status().code();
  if (code == Code::kNotFound || code == Code::kFailedPrecondition) {
    return MachineError("git is not installed: `apt-get install git`");
  }
  TASKMINT_RETURN_IF_ERROR(result.status());
  if (result->ending != sandbox::Ending::kExited || result->exit_code != 0) {
    return ExplainFailure(*result, command.input, box->HostRanOutOfMemory());
  }
  sandbox::CollectLimits limits;
  limits.bytes_max = kDiskBytesMax;
  return box->Collect(spec.work_path, limits);
}

}  // namespace taskmint::environments
