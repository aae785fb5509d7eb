#include <unistd.h>

#include <nlohmann/json.hpp>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/played_episode.h"
#include "orchestrator/commands/server_options.h"
#include "orchestrator/file_editing.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/line_reader.h"
#include "orchestrator/terminal.h"
#include "orchestrator/trajectory_text.h"
#include "proto/base/json.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr char kHelp[] =
    "A line is a command for a bash of its own in the repository: folder and variables are as at\n"
    "first for each. Ctrl-C ends a command that runs, and at the prompt the game.\n"
    "  :read PATH [FROM [LINES]]  show lines of a file\n"
    "  :edit PATH                 edit a file, or a new one, with $EDITOR\n"
    "  :prompt                    show the task again\n"
    "  :submit                    end the game: the repository as it is is graded\n"
    "  :quit                      leave without a verdict\n"
    "  :help                      show this\n";

struct PlayOptions {
  std::string store = "taskmint-store";
  std::string id;
  std::string actor = "person";
  RemotePlace server;
  bool json_calls = false;
};

// Words at blanks; double quotes hold one together.
std::vector<std::string> WordsOf(const std::string& line) {
  std::vector<std::string> words;
  bool quoted = false;
  bool within = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      if (!within) words.emplace_back();
      within = true;
    } else if (c == ' ' && !quoted) {
      within = false;
    } else {
      if (!within) words.emplace_back();
      within = true;
      words.back() += c;
    }
  }
  return words;
}

class Game {
 public:
  Game(const PlayOptions& options, PlayedEpisode& episode)
      : options_(options),
        episode_(episode),
        interactive_(!options.json_calls && IsTerminal(STDIN_FILENO)) {}

  int Play() {
    if (!options_.json_calls) ShowTask();
    LineReader lines(STDIN_FILENO);
    while (episode_.acting() && !over_) {
      if (interactive_) PrintOut("> ");
      static_cast<void>(fflush(stdout));
      const auto line = Await(lines);
      if (line.status().code() == Code::kCancelled) return kExitInterrupted;
      if (!line.ok()) return ComplainOf(line.status());
      if (!line->has_value()) break;
      TakeLine(**line);
    }
    if (failure_ != kExitDone) return failure_;
    if (episode_.acting()) {
      if (interactive_) PrintOut("\n");
      Complain("nothing was submitted: no verdict");
      return kExitFailed;
    }
    return Finish();
  }

 private:
  void ShowTask() {
    const v1::Task& task = episode_.task();
    PrintOut(Tinted("Task " + task.id().substr(0, 12), Tint::kBold) + "\n\n" +
             Printable(task.prompt().text()) + "\n\n");
    Table table({"TOOL", "WHAT IT DOES"});
    for (const v1::Tool& tool : task.tools()) table.Add({tool.name(), tool.description()});
    table.Print();
    PrintOut(std::string("\n") + kHelp + "\n");
  }

  static Result<std::optional<std::string>> Await(LineReader& lines) {
    const Interrupt interrupt("ending the game");
    return lines.Next(interrupt.token());
  }

  void TakeLine(const std::string& line) {
    if (options_.json_calls) {
      TakeJson(line);
    } else if (line.starts_with(':')) {
      TakeWords(WordsOf(line));
    } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
      Call("bash", {{"command", line}, {"timeout_s", 600}});
    }
  }

  void TakeJson(const std::string& line) {
    if (line.empty()) return;
    const auto call = ParseJson(line);
    if (!call.ok() || !call->is_object() || !call->contains("tool") ||
        !(*call)["tool"].is_string()) {
      PrintOut(
          DumpJson({{"error", "a line is an object: {\"tool\": NAME, \"arguments\": {...}}"}}) +
          "\n");
      return;
    }
    const nlohmann::json arguments = call->value("arguments", nlohmann::json::object());
    CallText((*call)["tool"].get<std::string>(),
             arguments.is_string() ? arguments.get<std::string>() : DumpJson(arguments));
  }

  void TakeWords(const std::vector<std::string>& words) {
    const std::string& name = words[0];
    if (name == ":help" && words.size() == 1) {
      PrintOut(kHelp);
    } else if (name == ":prompt" && words.size() == 1) {
      PrintOut(Printable(episode_.task().prompt().text()) + "\n");
    } else if (name == ":quit" && words.size() == 1) {
      over_ = true;
    } else if (name == ":submit" && words.size() == 1) {
      Call("submit", nlohmann::json::object());
    } else if (name == ":read" && words.size() >= 2 && words.size() <= 4) {
      nlohmann::json arguments = {{"path", words[1]}};
      const char* names[] = {"from", "lines"};
      for (size_t i = 2; i < words.size(); ++i) {
        const auto number = ParseJson(words[i]);
        arguments[names[i - 2]] = number.ok() ? *number : nlohmann::json(words[i]);
      }
      Call("read_file", arguments);
    } else if (name == ":edit" && words.size() == 2) {
      Edit(words[1]);
    } else {
      Complain("not understood; :help says what there is");
    }
  }

  Result<std::optional<std::string>> Read(const std::string& path) {
    const Interrupt interrupt("ending the reading; Ctrl-C again ends the game");
    return episode_.ReadWhole(path, interrupt.token());
  }

  void Edit(const std::string& path) {
    const auto before = Read(path);
    if (!before.ok()) return Complain(before.status().message());
    const std::string content = before->value_or("");
    if (!IsUtf8(content)) return Complain(path + " is not UTF-8: change it with a command");
    const auto after = EditOutside(path, content);
    if (!after.ok()) return Complain(after.status().message());
    if (*after == content) return Complain("unchanged");
    if (!IsUtf8(*after)) return Complain("what was written is not UTF-8: nothing is changed");
    const Passage passage = content.empty() ? Passage{"", *after} : ChangedPassage(content, *after);
    Call("edit_file", {{"path", path}, {"old", passage.old_text}, {"new", passage.new_text}});
  }

  void Call(const std::string& tool, const nlohmann::json& arguments) {
    CallText(tool, DumpJson(arguments));
  }

  void CallText(const std::string& tool, const std::string& arguments) {
    const Interrupt interrupt("ending the command; Ctrl-C again ends the game");
    const auto step = episode_.Call(tool, arguments, interrupt.token());
    if (!step.ok()) {
      failure_ = ComplainOf(step.status());
      over_ = true;
      return;
    }
    if (options_.json_calls) {
      PrintOut(DumpJson(StepJson(*step)) + "\n");
    } else if (step->tool() != "submit") {
      PrintOut(Printable(step->observation()));
    }
  }

  int Finish() {
    const Interrupt interrupt("stopping");
    const auto graded = episode_.Grade(interrupt.token());
    if (interrupt.interrupted()) return kExitInterrupted;
    if (!graded.ok()) return ComplainOf(graded.status());
    const v1::Verdict& verdict = graded->verdict;
    if (options_.json_calls) {
      nlohmann::json json = VerdictJson(verdict);
      const std::string& id = graded->trajectory_id;
      json["trajectory"] = id.empty() ? nlohmann::json() : nlohmann::json(id);
      PrintOut(DumpJson(json) + "\n");
    } else {
      PrintVerdict(verdict);
      if (!graded->lost) PrintOut(graded->note + "\n");
    }
    if (graded->lost) Complain(graded->note);
    return verdict.state() == v1::Verdict::STATE_NO_VERDICT ? kExitFailed : kExitDone;
  }

  const PlayOptions& options_;
  PlayedEpisode& episode_;
  const bool interactive_;
  bool over_ = false;
  int failure_ = kExitDone;
};

int RunPlay(const PlayOptions& options) {
  Result<std::unique_ptr<PlayedEpisode>> episode = Status(Code::kUnknown, Boundary::kNone, "");
  {
    const Interrupt interrupt("stopping");
    episode = options.server.address.empty()
                  ? OpenHere(options.store, options.id, options.actor, interrupt.token())
                  : OpenRemotely(options.server, options.id, options.actor);
    if (interrupt.interrupted()) return kExitInterrupted;
  }
  if (!episode.ok()) return ComplainOf(episode.status());
  return Game(options, **episode).Play();
}

}  // namespace

void AddPlay(Command root) {
  static PlayOptions options;
  Command play = root.Add("play", "Solve a kept task yourself, in a terminal");
  play.Text("id", options.id, "ID", "The task's id, or at least 6 of its first digits")
      .Require("id")
      .Text("--actor", options.actor, "NAME", "Who plays, as the trajectory says")
      .Flag("--json-calls", options.json_calls,
            "Each line read is a call, {\"tool\": NAME, \"arguments\": {...}}, and each line "
            "written its step as JSON; after submit one more, with the verdict");
  AddStoreOption(play, options.store);
  AddServerOptions(play, options.server);
  play.Example("taskmint play 3fa94c")
      .Example("taskmint play 3fa94c --server localhost:7070")
      .Example("printf 'ls\\n:submit\\n' | taskmint play 3fa94c")
      .Action([] { return RunPlay(options); });
}

}  // namespace taskmint::orchestrator
