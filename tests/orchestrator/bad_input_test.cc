// Repositories that nobody would wish on a friend, with the real binary, offline: each commit ends
// as a task or as a rejected candidate with its reason, and the store is sound afterwards.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/environments/git_fixture.h"
#include "tests/orchestrator/command_process.h"
#include "tests/orchestrator/offline.h"
#include "tests/orchestrator/toy_repository.h"

namespace taskmint::orchestrator {
namespace {

using environments::TemporaryFolder;
using environments::WorkTree;
using nlohmann::json;

constexpr const char* kHang = R"(import time


def spin():
    while True:
        time.sleep(1)
)";
constexpr const char* kHangTest = R"(from toy.trial import spin


def test_spin():
    spin()
)";

constexpr const char* kFork = R"(import os


def breed():
    while True:
        os.fork()
)";
constexpr const char* kForkTest = R"(from toy.trial import breed


def test_breed():
    breed()
)";

constexpr const char* kFlood = R"(def flood(path):
    block = bytes(1 << 20)
    with open(path, "wb") as file:
        for _ in range(10 << 10):
            file.write(block)
)";
constexpr const char* kFloodTest = R"(from toy.trial import flood


def test_flood(tmp_path):
    flood(tmp_path / "flood")
)";

// In Latin-1.
std::string Greeting(const std::string& body) {
  return "# -*- coding: latin-1 -*-\nGREETING = 'Gr\xfc\xdf Gott'\n\n\ndef greet(name):\n" + body;
}
constexpr const char* kGreetingTest =
    "# -*- coding: latin-1 -*-\n"
    "import pytest\n"
    "from toy.greeting import greet\n\n\n"
    "def test_greet():\n"
    "    assert greet('Bj\xf6rn') == 'Gr\xfc\xdf Gott, Bj\xf6rn'\n\n\n"
    "def test_greet_nobody():\n"
    "    with pytest.raises(ValueError):\n"
    "        greet('')\n";

// HEAD is detached, and its tree a bomb.
struct HostileRepository {
  WorkTree tree;
  std::map<std::string, std::string> commits;  // by what they do

  HostileRepository() {
    tree.Write("pyproject.toml", kToyProject);
    tree.Write("taskmint.toml", "test_wall_minutes_max = 0.3\n");
    tree.Write("toy/__init__.py", "");
    tree.Write("toy/greeting.py", Greeting("    return GREETING\n"));
    tree.Commit("Begin");
    Try("hang", kHang, kHangTest, "Spin the wheel for as long as somebody is looking at it");
    Try("fork", kFork, kForkTest, "Let families of processes grow as large as they like to");
    Try("flood", kFlood, kFloodTest, "Fill files with all the zeros that anybody asked for");
    AddOddities();
    tree.Write("toy/trial.py", "TRIALS = 0\n");
    tree.Write("tests/test_trial.py", "def test_trial():\n    assert True\n");
    tree.Write("toy/greeting.py", Greeting("    if not name:\n"
                                           "        raise ValueError('nobody to greet')\n"
                                           "    return GREETING + ', ' + name\n"));
    tree.Write("tests/test_greeting.py", kGreetingTest);
    commits["odd"] = tree.Commit(
        "Greet people by the name they have\n\nGreeting Bj\xf6rn gave no name, and greeting nobody "
        "was possible: it should be a ValueError.");
    tree.Write("toy/table.txt", std::string(50 << 20, 'x'));
    Try("huge", "TRIALS = 1\n", "def test_trial():\n    assert 1\n",
        "Ship the table that everything is looked up in");
    tree.Git("checkout -q --detach");
    AddBomb();
  }

  void Try(const std::string& name, const std::string& source, const std::string& tests,
           const std::string& message) {
    tree.Write("toy/trial.py", source);
    tree.Write("tests/test_trial.py", tests);
    commits[name] = tree.Commit(message);
  }

  void AddOddities() {
    tree.Write("data/caf\xe9 \"quoted\"\n.txt", "\xff\xfe\x00z");
    tree.Write("data/model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:" +
                                     std::string(64, 'a') + "\nsize 9\n");
    tree.Write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    tree.Run("ln -s ../../../etc/passwd data/up; ln -s /etc data/etc; ln -s loop data/loop");
    tree.Write(".gitmodules", "[submodule \"m\"]\n\tpath = m\n\turl = https://example.org/m\n");
    // An empty repository of its own reads as a submodule.
    tree.Run("git init -q m && git -C m commit -q --allow-empty -m module");
  }

  // 2^40 paths in 41 objects.
  void AddBomb() {
    std::string id = tree.Run(
        "printf '100644 blob %s\\tf.py\\n' $(echo x | git hash-object -w --stdin) | git mktree");
    for (int level = 0; level < 40; ++level) {
      id = tree.Run("printf '040000 tree " + id + "\\ta\\n040000 tree " + id +
                    "\\tb\\n' | git mktree");
    }
    id = tree.Run("{ git ls-tree HEAD; printf '040000 tree " + id + "\\tbomb\\n'; } | git mktree");
    commits["bomb"] = tree.Git("commit-tree -p HEAD -m 'Grow a tree' " + id);
    tree.Git("update-ref HEAD " + commits["bomb"]);
  }
};

TEST(BadInputTest, HostileCommitsAreTasksOrRejectedWithAReason) {
  HostileRepository repository;
  const TemporaryFolder folder;
  const auto variables = Offline(folder.path());
  const std::string store = folder.path() + "/store";
  const CommandOutcome synth =
      Taskmint({"synth", "code", "--repo", repository.tree.path(), "--store", store, "--jobs", "2"},
               variables);
  EXPECT_EQ(synth.code, 0) << synth.errors;
  std::map<std::string, std::string> outcomes;
  for (const json& row : Taskmint({"list", "--json", "--store", store}, variables).Json()) {
    for (const auto& [name, sha] : repository.commits) {
      if (row["commit"] != sha) continue;
      outcomes[name] = row["reason"].is_null() ? "kept" : row["reason"].get<std::string>();
    }
  }
  const std::map<std::string, std::string> expected = {
      {"hang", "oracle: run 'after': the test run ran past 18 s"},
      {"fork", "oracle: "},
      {"flood", "oracle: run 'after': "},
      {"odd", "kept"},
      {"huge", "lint: limit: changed files of more than 20971520 bytes together; such"},
      {"bomb", "lint: limit: more than 2000 changed files; such a commit makes no task"}};
  for (const auto& [name, outcome] : expected) {
    EXPECT_EQ(outcomes[name].substr(0, outcome.size()), outcome) << name << ": " << synth.errors;
  }
  const CommandOutcome replay = Taskmint({"replay", "--all", "--store", store}, variables);
  EXPECT_EQ(replay.code, 0) << replay.output << replay.errors;
  const CommandOutcome check = Taskmint({"store", "check", "--store", store}, variables);
  EXPECT_EQ(check.code, 0) << check.output << check.errors;
}

}  // namespace
}  // namespace taskmint::orchestrator
