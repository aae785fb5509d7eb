// A person, or a script, plays a task with the real binary; what was played is shown and replayed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/orchestrator/command_process.h"
#include "tests/orchestrator/kept_task.h"

namespace taskmint::orchestrator {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const KeptTask& Task() {
  static const auto* const task = new KeptTask;
  return *task;
}

const char kFix[] = "sed -i 's/return .*/return max(low, min(value, high))/' bounds/clamp.py\n";

class PlayTest : public testing::Test {
 protected:
  static std::vector<std::string> Line(std::vector<std::string> words) {
    words.insert(words.end(), {"--store", Task().store_path()});
    return words;
  }
  static CommandOutcome Run(std::vector<std::string> words) {
    return Taskmint(Line(std::move(words)), {{"NO_COLOR", "1"}});
  }
  static CommandOutcome Play(const std::string& input, std::vector<std::string> options = {},
                             const std::string& editor = "false") {
    options.insert(options.begin(), {"play", Task().id().substr(0, 12)});
    return Taskmint(Line(options), {{"NO_COLOR", "1"}, {"VISUAL", ""}, {"EDITOR", editor}}, input);
  }
  // Ids of what is kept, the oldest first.
  static std::vector<std::string> Kept() {
    std::vector<std::string> ids;
    for (const json& row : Run({"trajectory", "list", "--json"}).Json()) ids.push_back(row["id"]);
    return ids;
  }
};

TEST_F(PlayTest, AFixThatWasTypedIsJudgedKeptShownAndReplayed) {
  const size_t before = Kept().size();
  const CommandOutcome played =
      Play(std::string("ls\n\n:read bounds/clamp.py 2 1\n:nonsense\n") + kFix +
           "python -c 'import bounds; print(bounds.clamp(9, 2, 3))'\n"
           "exit 3\n:submit\necho late\n");
  EXPECT_EQ(played.code, 0) << played.errors;
  EXPECT_THAT(played.output, HasSubstr("clamp(9, 2, 3) should be 3."));
  EXPECT_THAT(played.output,
              HasSubstr("return value if value > low else low\n[lines 2 to 2 of 2]"));
  EXPECT_THAT(played.output, HasSubstr("\n3\n[exit code 0]\n[exit code 3]\npass, score 1.0"));
  EXPECT_THAT(played.output, Not(HasSubstr("late")));
  EXPECT_THAT(played.errors, HasSubstr(":help says what there is"));
  ASSERT_EQ(Kept().size(), before + 1);
  const std::string id = Kept().back();
  EXPECT_THAT(played.output, HasSubstr("trajectory show " + id.substr(0, 12)));

  const json rows =
      Run({"trajectory", "list", "--json", "--task", Task().id().substr(0, 8)}).Json();
  EXPECT_EQ(rows.back()["verdict"], "pass");
  EXPECT_EQ(rows.back()["score"], 1.0);
  EXPECT_EQ(rows.back()["steps"], 6);
  EXPECT_EQ(rows.back()["actor"], "person");
  EXPECT_THAT(Run({"trajectory", "list"}).output, HasSubstr(id.substr(0, 12)));
  const json shown = Run({"trajectory", "show", id.substr(0, 10), "--json"}).Json();
  EXPECT_EQ(shown["steps"][0]["observation"], "bounds\npyproject.toml\n[exit code 0]\n");
  EXPECT_EQ(shown["steps"][4]["failed"], true);
  EXPECT_EQ(shown["verdict"], "pass");
  EXPECT_THAT(Run({"trajectory", "show", id}).output, HasSubstr("$ ls\nbounds\n"));
  EXPECT_THAT(Run({"store", "check"}).output, HasSubstr("trajectories: sound"));

  const CommandOutcome replayed = Run({"trajectory", "replay", id, "--json"});
  EXPECT_EQ(replayed.code, 0) << replayed.output;
  EXPECT_EQ(replayed.Json()["agrees"], true);
  EXPECT_EQ(replayed.Json()["steps"], 6);
}

TEST_F(PlayTest, AReplaySaysWhatDiffers) {
  const SystemClock clock;
  const auto store =
      datasets::Store::Open(Task().store_path(), datasets::OpenMode::kReadWrite, clock).value();
  v1::Trajectory told;
  told.set_task_id(Task().id());
  v1::Step& step = *told.add_steps();
  step.set_tool("bash");
  step.set_arguments_json("{\"command\":\"echo one; echo two\"}");
  step.set_observation("one\n2\n[exit code 0]\n");
  step.set_masked_observation_digest(Sha256Hex(step.observation()));
  told.mutable_verdict()->set_state(v1::Verdict::STATE_PASS);
  const std::string id = store->PutTrajectory(told).value();
  const CommandOutcome replayed = Run({"trajectory", "replay", id});
  EXPECT_EQ(replayed.code, 1);
  EXPECT_THAT(replayed.output, HasSubstr("step 1 (bash): the observation differs: '2' is 'two'"));
  EXPECT_THAT(replayed.output, HasSubstr("the final state differs"));
  EXPECT_THAT(replayed.output, HasSubstr("the verdict was pass"));
}

TEST_F(PlayTest, CallsAndStepsAsJsonLines) {
  const CommandOutcome played = Play(
      "{\"tool\":\"bash\",\"arguments\":{\"command\":\"printf '\\\\377'; exit 1\"}}\n"
      "nonsense\n{\"tool\":7}\n"
      "{\"tool\":\"read_file\",\"arguments\":\"not JSON\"}\n"
      "{\"tool\":\"submit\"}\n",
      {"--json-calls", "--actor", "a script"});
  EXPECT_EQ(played.code, 0) << played.errors;
  std::vector<json> lines;
  std::istringstream text(played.output);
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  ASSERT_EQ(lines.size(), 6U) << played.output;
  EXPECT_EQ(lines[0]["observation"], "\xEF\xBF\xBD\n[exit code 1]\n");
  EXPECT_EQ(lines[0]["failed"], true);
  EXPECT_TRUE(lines[1].contains("error"));
  EXPECT_TRUE(lines[2].contains("error"));
  EXPECT_THAT(lines[3]["observation"].get<std::string>(), HasSubstr("not JSON"));
  EXPECT_EQ(lines[4]["tool"], "submit");
  EXPECT_EQ(lines[5]["verdict"], "fail");
  EXPECT_EQ(lines[5]["trajectory"], Kept().back());
}

TEST_F(PlayTest, WhoLeavesHasNoVerdictAndNothingIsKept) {
  const size_t before = Kept().size();
  for (const char* input : {"", "ls\n", "ls\n:quit\n:submit\n"}) {
    const CommandOutcome left = Play(input);
    EXPECT_EQ(left.code, 1);
    EXPECT_THAT(left.errors, HasSubstr("no verdict"));
  }
  EXPECT_EQ(Kept().size(), before);
}

TEST_F(PlayTest, AnEditorOutsideChangesTheFileInside) {
  const CommandOutcome edited =
      Play(":edit bounds/clamp.py\n:edit \"new file\"\ncat bounds/clamp.py 'new file'\n", {},
           "sh -c 'echo \"# edited\" >> \"$0\"'");
  EXPECT_THAT(edited.output, HasSubstr("else low\n# edited\n# edited\n[exit code 0]"))
      << edited.errors;
  const CommandOutcome failing = Play(":edit bounds/clamp.py\ncat bounds/clamp.py\n", {}, "false");
  EXPECT_THAT(failing.errors, HasSubstr("the editor 'false' ended with 1: nothing is changed"));
  EXPECT_THAT(failing.output, Not(HasSubstr("edited")));
}

// Whether a process of this machine, in a sandbox or not, was started with these words.
bool Runs(const std::string& words) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::string line;
    std::getline(file, line);  // which may be gone by now: then it stays empty
    std::replace(line.begin(), line.end(), '\0', ' ');
    if (line == words + " ") return true;
  }
  return false;
}

TEST_F(PlayTest, AnInterruptEndsTheCommandAndTheGameGoesOn) {
  const std::string pause = "sleep " + std::to_string(100'000 + getpid());
  CommandProcess play(Line({"play", Task().id()}), {},
                      "echo begun; " + pause + "; true\necho next\n:quit\n");
  while (play.running() && !Runs(pause)) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  play.Signal(SIGINT);
  const CommandOutcome outcome = play.Wait();
  EXPECT_THAT(outcome.output, HasSubstr("begun\n[interrupted]\nnext\n[exit code 0]"))
      << outcome.errors;
  EXPECT_EQ(outcome.code, 1);
}

TEST_F(PlayTest, BadIdsAreSaid) {
  EXPECT_EQ(Taskmint(Line({"play", "nonsense"})).code, 2);
  EXPECT_EQ(Taskmint(Line({"play", std::string(64, '0')})).code, 1);
  const CommandOutcome elsewhere = Taskmint(Line({"play", Task().id_of_other_base()}));
  EXPECT_EQ(elsewhere.code, 1);
  EXPECT_THAT(elsewhere.errors, HasSubstr("base differs"));
  EXPECT_EQ(Run({"trajectory", "show", "nonsense"}).code, 2);
  EXPECT_THAT(Run({"trajectory", "replay", "abcdef0123"}).errors,
              HasSubstr("taskmint trajectory list"));
}

}  // namespace
}  // namespace taskmint::orchestrator
