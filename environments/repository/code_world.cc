#include "environments/repository/code_world.h"

#include <string.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "environments/errors.h"
#include "environments/repository/code_tools.h"
#include "environments/repository/state_sandbox.h"
#include "environments/tool_arguments.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using sandbox::CommandResult;
using sandbox::Ending;

// What a command may write before it is ended; what is kept of it is kObservationBytesMax.
constexpr int64_t kWrittenBytesMax = int64_t{64} << 20;
// The kernel takes no longer argument (MAX_ARG_STRLEN).
constexpr size_t kCommandBytesMax = 131'071;
constexpr size_t kToolPathBytesMax = 4'000;
constexpr int64_t kOwnToolMsMax = 10'000;
constexpr auto kKillTakesEffect = std::chrono::milliseconds(20);
constexpr int kMatchesMax = 100;
constexpr int kMatchesNamed = 10;
constexpr size_t kBinaryPrefix = 8'192;

Status Declined(const std::string& why) { return {Code::kInvalidArgument, Boundary::kTool, why}; }

ToolOutcome Refused(std::string why) {
  ToolOutcome outcome;
  outcome.observation = std::move(why) + "\n";
  outcome.failed = true;
  return outcome;
}

// Whether the agent, and not the machine, is at fault: then the sandbox can still be used.
bool IsAgents(const Status& status) {
  switch (status.code()) {
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kFailedPrecondition:
    case Code::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

Status AsRefusal(const Status& status) {
  return IsAgents(status) ? Declined(status.message()) : status;
}

const v1::Tool* FindTool(const std::string& name) {
  static const auto* const tools = new std::vector<v1::Tool>(CodeTools());
  for (const v1::Tool& tool : *tools) {
    if (tool.name() == name) return &tool;
  }
  return nullptr;
}

std::string UnknownTool(const std::string& name) {
  std::string text = "unknown tool '" + OneLine(CutMiddle(name, 80)) + "'; there are";
  for (const v1::Tool& tool : CodeTools()) text += " " + tool.name();
  return text;
}

std::string SignalName(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

// `memory`: whose memory it was that ran out.
std::string EndingText(const CommandResult& result, int64_t timeout_s, const std::string& memory) {
  switch (result.ending) {
    case Ending::kExited:
      return "exit code " + std::to_string(result.exit_code);
    case Ending::kSignalled:
      return "killed by " + SignalName(result.signal);
    case Ending::kWallTime:
      return "killed with all that ran beside it: not done after " + std::to_string(timeout_s) +
             " s; timeout_s sets the time";
    case Ending::kCpuTime:
      return "killed: out of CPU time";
    case Ending::kOutput:
      return "killed: it wrote more than " + std::to_string(kWrittenBytesMax >> 20) + " MiB";
    case Ending::kMemory:
      return "killed: out of memory, " + memory;
    case Ending::kCancelled:
      return "interrupted";
  }
  return "";
}

// "./a//b" as "/work/a/b". Not resolved: links, and "..".
std::string Absolute(const std::string& path) {
  std::string absolute = path.starts_with('/') ? "" : kStateWork;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".") absolute += "/" + part;
    begin = end + 1;
  }
  return absolute.empty() ? "/" : absolute;
}

bool HasParents(const std::string& absolute) {
  return (absolute + "/").find("/../") != std::string::npos;
}

int64_t CountLines(std::string_view text) {
  const int64_t ends = std::count(text.begin(), text.end(), '\n');
  return ends + (!text.empty() && text.back() != '\n' ? 1 : 0);
}

// Where `part` stands in `text`, overlapping ones too, at most kMatchesMax. Linear for each.
std::vector<size_t> Matches(std::string_view text, std::string_view part) {
  std::vector<size_t> places;
  size_t from = 0;
  while (places.size() < kMatchesMax && from < text.size()) {
    const void* found = ::memmem(text.data() + from, text.size() - from, part.data(), part.size());
    if (found == nullptr) break;
    places.push_back(static_cast<size_t>(static_cast<const char*>(found) - text.data()));
    from = places.back() + 1;
  }
  return places;
}

int64_t LineOf(std::string_view text, size_t place) {
  return std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(place), '\n') + 1;
}

std::string ManyMatches(std::string_view text, const std::vector<size_t>& places) {
  const bool all = places.size() < kMatchesMax;
  std::string why = "the old text stands " + std::string(all ? "" : "at least ") +
                    std::to_string(places.size()) + " times, on lines";
  for (size_t i = 0; i < places.size() && i < kMatchesNamed; ++i) {
    why += (i == 0 ? " " : ", ") + std::to_string(LineOf(text, places[i]));
  }
  if (places.size() > kMatchesNamed) why += ", ...";
  return why + ": give more of what is around it";
}

// Lines `from` to `from` + `lines` - 1 of a text, as many as fit into an observation.
ToolOutcome Excerpt(const std::string& path, std::string_view text, int64_t from, int64_t lines) {
  const int64_t total = CountLines(text);
  if (total == 0) return {"[" + path + " is empty]\n"};
  if (from > total) {
    return Refused(path + " has " + std::to_string(total) + (total == 1 ? " line" : " lines"));
  }
  std::string_view rest = text;
  for (int64_t line = 1; line < from; ++line) rest.remove_prefix(rest.find('\n') + 1);
  ToolOutcome outcome;
  std::string& shown = outcome.observation;
  int64_t line = from;
  for (; line <= total && line - from < lines; ++line) {
    const std::string_view next = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
    if (static_cast<int64_t>(shown.size() + next.size()) > kObservationBytesMax) {
      outcome.cut = true;
      if (line > from) break;
      shown = CutMiddle(next, kObservationBytesMax);
    } else {
      shown += next;
    }
    rest.remove_prefix(next.size());
  }
  if (!shown.ends_with('\n')) shown += "\n";
  shown += "[lines " + std::to_string(from) + " to " + std::to_string(line - 1) + " of " +
           std::to_string(total);
  if (line <= total) {
    shown += outcome.cut ? "; cut, more would be too long" : "";
    shown += "; " + std::to_string(total - line + 1) + " more from line " + std::to_string(line);
  }
  shown += "]\n";
  return outcome;
}

FileTree WithoutDerived(const LanguageDriver& driver, const FileTree& tree) {
  FileTree rest = tree;
  for (const auto& [path, entry] : tree.files()) {
    if (driver.IsDerived(path)) rest.Remove(path);
  }
  return rest;
}

int64_t NowS() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<std::unique_ptr<CodeWorld>> CodeWorld::Open(sandbox::SandboxHost& sandboxes,
                                                   const LanguageDriver& driver,
                                                   const v1::RepositoryEnvironment& environment,
                                                   const BuiltEnvironment& built,
                                                   const FileTree& tree, std::stop_token stop) {
  const sandbox::SandboxSpec spec = StateSandboxSpec(environment, built, driver.Variables());
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open(spec, std::move(stop)));
  TASKMINT_RETURN_IF_ERROR(opened->Put(tree, kStateWork, kStateFileTimeS));
  return std::unique_ptr<CodeWorld>(
      new CodeWorld(std::move(opened), driver, spec.limits.memory_bytes_max));
}

Result<ToolOutcome> CodeWorld::Call(const std::string& tool, const std::string& arguments_json,
                                    std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  SettleKills();
  if (!lost_.ok()) return lost_;
  Result<ToolOutcome> outcome = Dispatch(tool, arguments_json, std::move(stop));
  if (!outcome.ok() && outcome.status().boundary() != Boundary::kTool) {
    outcome = AfterFailure(outcome.status());
  } else {
    SettleKills();
    if (!lost_.ok()) return lost_;
  }
  if (!outcome.ok()) {
    if (outcome.status().boundary() != Boundary::kTool) return outcome.status();
    outcome = Refused(outcome.status().message());
  }
  outcome->wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::steady_clock::now() - start)
                         .count();
  return outcome;
}

Result<ToolOutcome> CodeWorld::Dispatch(const std::string& name, const std::string& arguments_json,
                                        std::stop_token stop) {
  const v1::Tool* tool = FindTool(name);
  if (tool == nullptr) return Declined(UnknownTool(name));
  TASKMINT_ASSIGN_OR_RETURN(const nlohmann::json arguments, ReadArguments(*tool, arguments_json));
  if (name == "submit") {
    ToolOutcome outcome{"submitted\n"};
    outcome.ended = true;
    return outcome;
  }
  if (!ruined_.ok()) return Declined(ruined_.message() + "; only submit is left");
  if (name == "bash") {
    return Bash(arguments["command"].get<std::string>(), arguments["timeout_s"].get<int64_t>(),
                std::move(stop));
  }
  const auto path = arguments["path"].get<std::string>();
  if (name == "read_file") {
    return ReadFile(path, arguments["from"].get<int64_t>(), arguments["lines"].get<int64_t>(),
                    stop);
  }
  return EditFile(path, arguments["old"].get<std::string>(), arguments["new"].get<std::string>(),
                  stop);
}

void CodeWorld::SettleKills() {
  if (!lost_.ok() || !ruined_.ok()) return;
  if (sandbox_->HostRanOutOfMemory()) {
    // What it killed may be anything that the agent began: nothing of it can be judged.
    lost_ = Status(Code::kUnavailable, Boundary::kSandbox,
                   "this machine ran out of memory and killed a process of the episode");
    return;
  }
  const int64_t kills = sandbox_->MemoryKills();
  if (kills > kills_settled_) {
    // Where bubblewrap itself was killed, it takes a moment to take the rest with it.
    std::this_thread::sleep_for(kKillTakesEffect);
    // A folder is no file, as the sandbox says while it can say anything.
    const auto folder = sandbox_->Get(kStateWork, 0);
    if (!folder.ok() && !IsAgents(folder.status())) {
      static_cast<void>(AfterFailure(folder.status()));
      return;
    }
    kills_settled_ = kills;
  }
}

Status CodeWorld::AfterFailure(const Status& status) {
  if (sandbox_->HostRanOutOfMemory() || sandbox_->MemoryKills() <= kills_settled_) {
    lost_ = status;
    return lost_;
  }
  ruined_ = Error(Code::kResourceExhausted,
                  "everything inside was killed, because it used more than the " +
                      std::to_string(memory_bytes_max_ >> 20) + " MiB of memory that there are");
  return Declined(ruined_.message() + "; only submit is left");
}

Result<ToolOutcome> CodeWorld::Bash(const std::string& text, int64_t timeout_s,
                                    std::stop_token stop) {
  if (text.find('\0') != std::string::npos) return Declined("the command holds a NUL character");
  if (text.size() > kCommandBytesMax) {
    return Declined("the command is longer than " + std::to_string(kCommandBytesMax) +
                    " bytes: write a script with edit_file and run that");
  }
  sandbox::Command command;
  command.argv = {"/bin/bash", "-c", text};
  command.wall_ms_max = timeout_s * 1000;
  command.output_bytes_max = kObservationBytesMax;
  command.written_bytes_max = kWrittenBytesMax;
  command.joined_output = true;
  const auto result = sandbox_->Run(command, std::move(stop));
  if (!result.ok()) {
    const Status& status = result.status();
    if (status.code() == Code::kResourceExhausted) {
      // So many run inside that no more can be started, and only we can end them.
      TASKMINT_RETURN_IF_ERROR(sandbox_->KillAll());
      return Declined(status.message() + "; all of them were killed");
    }
    return AsRefusal(status);
  }
  ToolOutcome outcome;
  outcome.observation = result->output;
  if (!outcome.observation.empty() && !outcome.observation.ends_with('\n')) {
    outcome.observation += "\n";
  }
  // Where it was the machine that ran out, the call ends without an outcome.
  const std::string memory = std::to_string(memory_bytes_max_ >> 20) + " MiB is all there is";
  outcome.observation += "[" + EndingText(*result, timeout_s, memory) + "]\n";
  outcome.failed = result->ending != Ending::kExited || result->exit_code != 0;
  outcome.cut = result->output_cut_bytes > 0 || result->ending == Ending::kOutput;
  outcome.cpu_ms = result->cpu_ms;
  return outcome;
}

Result<CommandResult> CodeWorld::RunTool(std::vector<std::string> argv,
                                         const std::stop_token& stop) {
  sandbox::Command command;
  command.argv = std::move(argv);
  command.folder = "/";
  command.wall_ms_max = kOwnToolMsMax;
  command.output_bytes_max = 16 << 10;
  auto result = sandbox_->Run(command, stop);
  if (!result.ok()) return AsRefusal(result.status());
  if (result->ending == Ending::kExited && result->exit_code == 0) return result;
  const std::string said = OneLine(CutMiddle(result->error_output, 300));
  return Declined(said.empty() ? command.argv[0] + " did not run: " +
                                     std::string(sandbox::EndingName(result->ending))
                               : said);
}

Result<std::string> CodeWorld::Resolve(const std::string& path, const std::stop_token& stop) {
  TASKMINT_ASSIGN_OR_RETURN(CommandResult result,
                            RunTool({"/usr/bin/realpath", "-m", "-z", "--", path}, stop));
  while (result.output.ends_with('\0')) result.output.pop_back();
  if (!result.output.starts_with('/')) return Declined("cannot resolve " + path);
  return std::move(result.output);
}

Result<CodeWorld::Place> CodeWorld::Find(const std::string& path, const std::stop_token& stop) {
  if (path.find('\0') != std::string::npos) return Declined("the path holds a NUL character");
  if (path.size() > kToolPathBytesMax) return Declined("the path is too long");
  std::string absolute = Absolute(path);
  bool resolved = HasParents(absolute);
  if (resolved) {
    TASKMINT_ASSIGN_OR_RETURN(absolute, Resolve(absolute, stop));
  }
  for (;;) {
    auto content = sandbox_->Get(absolute, kToolFileBytesMax);
    if (content.ok()) return Place{std::move(absolute), std::move(content).value()};
    const Status& status = content.status();
    if (status.code() == Code::kNotFound) return Place{std::move(absolute), std::nullopt};
    if (status.code() == Code::kResourceExhausted) {
      return Declined(absolute + " is larger than " + std::to_string(kToolFileBytesMax >> 20) +
                      " MiB: use bash");
    }
    // Behind a link perhaps; Get follows none.
    if (status.code() != Code::kFailedPrecondition || resolved) return AsRefusal(status);
    resolved = true;
    TASKMINT_ASSIGN_OR_RETURN(std::string real, Resolve(absolute, stop));
    if (real == absolute) return AsRefusal(status);
    absolute = std::move(real);
  }
}

Result<std::optional<std::string>> CodeWorld::ReadWhole(const std::string& path,
                                                        std::stop_token stop) {
  SettleKills();
  if (!lost_.ok()) return lost_;
  if (!ruined_.ok()) return Declined(ruined_.message());
  auto place = Find(path, stop);
  if (place.ok()) return std::move(place->content);
  const bool refused = place.status().boundary() == Boundary::kTool;
  return refused ? place.status() : AfterFailure(place.status());
}

Result<ToolOutcome> CodeWorld::ReadFile(const std::string& path, int64_t from, int64_t lines,
                                        std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const Place place, Find(path, stop));
  if (!place.content) return Declined("there is no file " + place.path);
  const std::string_view text = *place.content;
  if (text.substr(0, kBinaryPrefix).find('\0') != std::string_view::npos) {
    return Declined(place.path + " is a binary file of " + std::to_string(text.size()) +
                    " bytes: look at it with bash");
  }
  return Excerpt(place.path, text, from, lines);
}

Result<ToolOutcome> CodeWorld::EditFile(const std::string& path, const std::string& old_text,
                                        const std::string& new_text, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const Place place, Find(path, stop));
  if (old_text.empty()) {
    if (place.content && !place.content->empty()) {
      return Declined(place.path + " exists: give the passage that is to be replaced");
    }
    TASKMINT_RETURN_IF_ERROR(Replace(place, new_text, stop));
    return ToolOutcome{"wrote " + place.path + ", " + std::to_string(CountLines(new_text)) +
                       " lines\n"};
  }
  if (!place.content) {
    return Declined("there is no file " + place.path + "; an empty old text creates it");
  }
  const std::string& text = *place.content;
  const std::vector<size_t> places = Matches(text, old_text);
  if (places.empty()) {
    return Declined("the old text does not stand in " + place.path +
                    ": it must be there letter by letter, white space too");
  }
  if (places.size() > 1) return Declined(place.path + ": " + ManyMatches(text, places));
  if (old_text == new_text) return Declined("the old and the new text are the same");
  std::string edited = text.substr(0, places[0]) + new_text;
  edited += std::string_view(text).substr(places[0] + old_text.size());
  TASKMINT_RETURN_IF_ERROR(Replace(place, edited, stop));
  return ToolOutcome{"edited " + place.path + " at line " +
                     std::to_string(LineOf(text, places[0])) + "\n"};
}

Status CodeWorld::Replace(const Place& place, const std::string& content,
                          const std::stop_token& stop) {
  const size_t slash = place.path.rfind('/');
  const std::string folder = place.path.substr(0, slash);
  if (folder.empty()) return Declined("nothing can be written to " + place.path);
  FileEntry entry = RegularFile(content);
  int64_t modified_s = NowS();
  if (place.content) {
    TASKMINT_ASSIGN_OR_RETURN(
        const CommandResult facts,
        RunTool({"/usr/bin/stat", "--format=%03a %Y", "--", place.path}, stop));
    const std::string& said = facts.output;
    const size_t space = std::min(said.find(' '), said.size());
    if (space >= 3 && (said[space - 3] - '0') % 2 == 1) entry.kind = FileEntry::Kind::kExecutable;
    int64_t before_s = 0;
    std::from_chars(said.data() + std::min(space + 1, said.size()), said.data() + said.size(),
                    before_s);
    // Byte code counts as current while size and second of its source are the same.
    if (before_s == modified_s) ++modified_s;
  }
  FileTree tree;
  TASKMINT_RETURN_IF_ERROR(AsRefusal(tree.Set(place.path.substr(slash + 1), entry)));
  Status written = sandbox_->Put(tree, folder, modified_s);
  if (written.ok() || !IsAgents(written)) return written;
  std::string why = "cannot write " + place.path + ": " + written.message();
  if (place.content) {
    entry.content = std::make_shared<const std::string>(*place.content);
    TASKMINT_RETURN_IF_ERROR(AsRefusal(tree.Set(place.path.substr(slash + 1), std::move(entry))));
    Status restored = sandbox_->Put(tree, folder, modified_s);
    if (!restored.ok() && !IsAgents(restored)) return restored;
    why += restored.ok() ? "; it is as it was" : "; what was there is lost";
  } else {
    TASKMINT_RETURN_IF_ERROR(AsRefusal(sandbox_->Remove({place.path})));
  }
  return Declined(why);
}

Result<FileTree> CodeWorld::FinalTree(std::stop_token stop) {
  if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kNone, "interrupted");
  SettleKills();
  if (!lost_.ok()) return lost_;
  if (!ruined_.ok()) return ruined_;
  Status status = sandbox_->KillAll();
  if (status.ok()) {
    auto tree = sandbox_->Collect(kStateWork, kFinalTreeLimits);
    if (tree.ok()) return WithoutDerived(driver_, *tree);
    status = tree.status();
    // Nothing else can be the agent's: what it closed or linked is opened or left out.
    if (status.code() == Code::kResourceExhausted) {
      return Error(Code::kResourceExhausted,
                   "the final state is more than " + std::to_string(kFinalTreeLimits.files_max) +
                       " files or " + std::to_string(kFinalTreeLimits.bytes_max >> 20) +
                       " MiB, or nested too deeply");
    }
  }
  status = AfterFailure(status);
  return ruined_.ok() ? status : ruined_;
}

}  // namespace taskmint::environments
