// What the binary says to arguments, and to input that is none: no sandbox is needed for it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/environments/git_fixture.h"
#include "tests/orchestrator/command_process.h"

namespace taskmint::orchestrator {
namespace {

using environments::TemporaryFolder;
using environments::WorkTree;

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class CommandLineTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }
  CommandOutcome Synth(std::vector<std::string> options) {
    options.insert(options.begin(), {"synth", "code", "--store", Path("store")});
    return Taskmint(options);
  }

  TemporaryFolder folder_;
};

TEST_F(CommandLineTest, VersionAndHelpGoToStandardOutput) {
  const CommandOutcome version = Taskmint({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(Contains(version.output, "taskmint 0.")) << version.output;
  EXPECT_EQ(version.errors, "");
}

TEST_F(CommandLineTest, EveryCommandHasHelpWithAnExample) {
  const std::vector<std::vector<std::string>> commands = {{},
                                                          {"synth"},
                                                          {"synth", "code"},
                                                          {"list"},
                                                          {"show"},
                                                          {"stats"},
                                                          {"audit"},
                                                          {"verify"},
                                                          {"replay"},
                                                          {"store"},
                                                          {"store", "check"},
                                                          {"store", "gc"},
                                                          {"sandbox"},
                                                          {"sandbox", "exec"},
                                                          {"sandbox", "shell"},
                                                          {"sandbox", "attack"},
                                                          {"doctor"},
                                                          {"serve"},
                                                          {"play"},
                                                          {"trajectory"},
                                                          {"trajectory", "list"},
                                                          {"export"},
                                                          {"import"}};
  for (std::vector<std::string> command : commands) {
    const std::string name = command.empty() ? "taskmint" : command.back();
    command.push_back("--help");
    const CommandOutcome help = Taskmint(command);
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_TRUE(Contains(help.output, "Example")) << name << ": " << help.output;
    EXPECT_EQ(help.errors, "") << name;
  }
}

TEST_F(CommandLineTest, JsonIsPrintedEvenIfNoSourceCanBeRead) {
  const CommandOutcome outcome = Synth({"--repo", Path("absent"), "--json"});
  EXPECT_EQ(outcome.code, 1);
  const auto json = outcome.Json();
  ASSERT_TRUE(json.is_object()) << outcome.output;
  EXPECT_EQ(json["kept"], 0);
  EXPECT_TRUE(Contains(json["sources"][0]["error"], "no such path"));
}

TEST_F(CommandLineTest, BadArgumentsExitWithTwoAndSayNothingOnStandardOutput) {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"frobnicate"},
      {"synth"},
      {"synth", "code"},
      {"synth", "code", "--repo"},
      {"synth", "code", "--repo", ".", "--jobs", "0"},
      {"synth", "code", "--repo", ".", "--jobs", "many"},
      {"synth", "code", "--repo", ".", "--tasks-max", "-1"},
      {"synth", "code", "--repo", ".", "--since", "yesterday"},
      {"synth", "code", "--repo", ".", "--grade-scope", "half"},
      {"synth", "code", "--repo", ".", "--setup", Path("absent.sh")},
      {"synth", "code", "--repo", ".", "--setup", Write("latin.sh", "# caf\xe9\n")},
      {"synth", "code", "--repo", ".", "--test-command", "pytest caf\xe9"},
      {"synth", "code", "--repo", ".", "--issues", Path("absent.json")},
      {"synth", "code", "--repos", Path("absent.txt")},
      {"show"},
      {"verify", "abcdef"},
      {"replay"},
      {"store"},
      {"list", "--no-such-option"},
      {"--log-level", "loud", "list"}};
  for (const auto& line : lines) {
    const CommandOutcome outcome = Taskmint(line);
    std::string text;
    for (const std::string& word : line) text += word + " ";
    EXPECT_EQ(outcome.code, 2) << text << outcome.errors;
    EXPECT_EQ(outcome.output, "") << text;
    EXPECT_NE(outcome.errors, "") << text;
  }
}

TEST_F(CommandLineTest, AnUnknownCommandIsNamed) {
  EXPECT_EQ(Taskmint({"frobnicate", "--json"}).errors,
            "taskmint: no command 'frobnicate'; `taskmint --help` lists them\n");
  EXPECT_EQ(Taskmint({"synth", "coed", "--repo", "."}).errors,
            "taskmint synth: no command 'coed'; `taskmint synth --help` lists them\n");
  EXPECT_FALSE(Contains(Taskmint({"synth", "--repo", "."}).errors, "no command '.'"));
}

TEST_F(CommandLineTest, IssuesThatHoldNothingAreSaid) {
  const CommandOutcome outcome =
      Synth({"--repo", Path("absent"), "--issues", Write("empty.json", "")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(Contains(outcome.errors, "is empty")) << outcome.errors;
}

TEST_F(CommandLineTest, AMalformedSettingsFileAtHeadEndsTheRunWithItsLine) {
  WorkTree tree;
  tree.Write("pyproject.toml", "[project]\nname = \"toy\"\nversion = \"1\"\n");
  tree.Write("taskmint.toml", "packages = []\nsetpu = 'make'\n");
  tree.Commit("Begin");
  tree.Write("toy.py", "x = 1\n");
  tree.Write("tests/test_toy.py", "x = 1\n");
  tree.Commit("Change something");
  const CommandOutcome outcome = Synth({"--repo", tree.path()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(Contains(outcome.errors, "HEAD's taskmint.toml:2: unknown key")) << outcome.errors;
}

TEST_F(CommandLineTest, NoRepositoryLeavesNoStoreBehind) {
  const CommandOutcome outcome = Synth({"--repo", Path("absent")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(Contains(outcome.errors, Path("absent"))) << outcome.errors;
  EXPECT_FALSE(std::filesystem::exists(Path("store")));
}

TEST_F(CommandLineTest, AnEmptyRepositoryIsNamed) {
  const WorkTree empty;
  const CommandOutcome outcome = Synth({"--repo", empty.path()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(Contains(outcome.errors, empty.path())) << outcome.errors;
  EXPECT_TRUE(Contains(outcome.errors, "commit")) << outcome.errors;
}

TEST_F(CommandLineTest, ARepositoryOfNoKnownLanguageIsRefused) {
  WorkTree tree;
  tree.Write("main.tex", "\\bye\n");
  tree.Commit("Begin");
  const CommandOutcome outcome = Synth({"--repo", tree.path()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(Contains(outcome.errors, "no driver for this repository")) << outcome.errors;
}

TEST_F(CommandLineTest, NoCandidatesExitWithThreeAndSayWhy) {
  WorkTree tree;
  tree.Write("pyproject.toml", "[project]\nname = \"toy\"\nversion = \"1\"\n");
  tree.Write("toy.py", "x = 1\n");
  tree.Commit("Begin");
  const CommandOutcome outcome = Synth({"--repo", tree.path()});
  EXPECT_EQ(outcome.code, 3) << outcome.errors;
  EXPECT_TRUE(Contains(outcome.errors, "no candidates")) << outcome.errors;
}

TEST_F(CommandLineTest, AnObjectMissingAtHeadSpoilsThatCommitAlone) {
  WorkTree tree;
  tree.Write("pyproject.toml", "[project]\nname = \"toy\"\nversion = \"1\"\n");
  tree.Commit("Begin");
  for (const char* line : {"x = 1\n", "x = 2\n"}) {
    tree.Write("toy.py", line);
    tree.Write("tests/test_toy.py", line);
    tree.Commit("wip");
  }
  const std::string blob = tree.Git("rev-parse HEAD:toy.py");
  tree.Run("rm -f .git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2));
  const CommandOutcome outcome = Synth({"--repo", tree.path(), "--json"});
  EXPECT_EQ(outcome.code, 3) << outcome.errors;
  const auto sources = outcome.Json()["sources"];
  ASSERT_EQ(sources.size(), 1U) << outcome.output;
  EXPECT_EQ(sources[0].value("rejected", nlohmann::json()),
            (nlohmann::json{{"lint", 1}, {"underspecified", 1}}));
  EXPECT_TRUE(Contains(outcome.errors, "object " + blob + " is missing")) << outcome.errors;
}

TEST_F(CommandLineTest, OneBadRepositoryDoesNotKeepTheOthersFromTheirTurn) {
  WorkTree tree;
  tree.Write("main.tex", "\\bye\n");
  tree.Commit("Begin");
  const std::string list = Write("repositories.txt", Path("absent") + "\n# x\n" + tree.path());
  const CommandOutcome outcome = Synth({"--repos", list, "--json"});
  EXPECT_EQ(outcome.code, 1);
  const auto json = outcome.Json();
  ASSERT_TRUE(json.is_object()) << outcome.output;
  ASSERT_EQ(json["sources"].size(), 2U);
  EXPECT_TRUE(Contains(json["sources"][1]["error"], "no driver"));
}

TEST_F(CommandLineTest, CommandsOnNoStoreSayHowToMakeOne) {
  const std::vector<std::vector<std::string>> lines = {
      {"list"}, {"stats"}, {"show", "abcdef"}, {"replay", "--all"}, {"store", "check"}};
  for (std::vector<std::string> line : lines) {
    line.insert(line.end(), {"--store", Path("absent")});
    const CommandOutcome outcome = Taskmint(line);
    EXPECT_EQ(outcome.code, 1) << line[0];
    EXPECT_EQ(outcome.output, "") << line[0];
    EXPECT_TRUE(Contains(outcome.errors, "no store at")) << line[0] << ": " << outcome.errors;
  }
}

TEST_F(CommandLineTest, DoctorFindsThatAFileIsNoStore) {
  const std::string file = Write("file", "text");
  const CommandOutcome outcome = Taskmint({"doctor", "--json", "--store", file});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(Contains(outcome.output, file + ": Not a directory")) << outcome.output;
}

TEST_F(CommandLineTest, DoctorAnswersInJson) {
  const CommandOutcome outcome = Taskmint({"doctor", "--json", "--store", Path("store")});
  const auto json = outcome.Json();
  ASSERT_TRUE(json.is_array()) << outcome.output;
  std::set<std::string> names;
  bool sound = true;
  for (const auto& finding : json) {
    names.insert(finding["name"].get<std::string>());
    sound = sound && finding["ok"].get<bool>();
    if (!finding["ok"].get<bool>()) {
      EXPECT_NE(finding["mend"], "") << finding["name"];
    }
  }
  EXPECT_EQ(names.size(), json.size()) << "each thing once";
  for (const char* name :
       {"uv", "git", "python3", "C and C++ tools", "store", "network settings"}) {
    EXPECT_EQ(names.count(name), 1U) << name;
  }
  EXPECT_EQ(outcome.code, sound ? 0 : 1);
  EXPECT_FALSE(std::filesystem::exists(Path("store")));
}

}  // namespace
}  // namespace taskmint::orchestrator
