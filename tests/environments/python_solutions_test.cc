// Damaged and cheating solutions of the Python driver, tried without the defences that stop them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/environments/git_fixture.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

std::string Text(const FileTree& tree, const std::string& path) {
  const FileEntry* entry = tree.Find(path);
  return entry == nullptr ? "(absent)" : *entry->content;
}

class PythonMutantsTest : public PythonSandboxTest {
 protected:
  std::vector<AlteredSolution> Mutate(const FileTree& parent, const FileTree& gold,
                                      int64_t mutants_max = 100, uint64_t seed = 1) {
    auto mutants = PythonUnderTest().Mutants(*host_, parent, gold, seed, mutants_max, {});
    EXPECT_TRUE(mutants.ok()) << mutants.status().ToString();
    return mutants.ok() ? *std::move(mutants) : std::vector<AlteredSolution>();
  }
};

TEST_F(PythonMutantsTest, EachIsOneDamageToTheFix) {
  std::string middle;
  for (int i = 0; i < 12; ++i) middle += "X" + std::to_string(i) + " = 0\n";
  const auto module = [&](const std::string& head, const std::string& tail) {
    return TreeOf({{"src/a.py", "import os\n\n\n" + head + middle + tail},
                   {"tests/test_a.py", "def test_a(): pass\n"},
                   {"README", "r"}});
  };
  const FileTree parent = module("def f(a, b):\n    return a\n", "def g(x):\n    return x\n");
  const FileTree gold = module(
      "def f(a, b):\n    \"\"\"\u00c4h.\"\"\"\n    if a < b and a:\n        log(\"\u00e9\", b)\n"
      "        return max(a, b + 1)\n    return a\n",
      "def g(x):\n    # A comment.\n    return abs(x)\n");
  const std::vector<AlteredSolution> mutants = Mutate(parent, gold);
  std::set<std::string> names, texts = {Text(parent, "src/a.py"), Text(gold, "src/a.py")};
  for (const AlteredSolution& mutant : mutants) {
    names.insert(mutant.name);
    EXPECT_TRUE(texts.insert(Text(mutant.tree, "src/a.py")).second) << mutant.name;
    EXPECT_EQ(Text(mutant.tree, "tests/test_a.py"), Text(gold, "tests/test_a.py"));
  }
  for (const char* name : {"hunk dropped at src/a.py:5", "condition inverted at src/a.py:6",
                           "comparison inverted at src/a.py:6", "call dropped at src/a.py:7",
                           "arguments swapped at src/a.py:8", "constant changed at src/a.py:8",
                           "operator changed at src/a.py:8", "result dropped at src/a.py:8"}) {
    EXPECT_THAT(names, Contains(name));
  }
  // Hunks first; the rest by the seed.
  const std::vector<AlteredSolution> few = Mutate(parent, gold, 4, 3);
  ASSERT_THAT(few, SizeIs(4));
  EXPECT_THAT(few[0].name, HasSubstr("hunk dropped"));
  EXPECT_THAT(few[1].name, HasSubstr("hunk dropped"));
  const std::vector<AlteredSolution> again = Mutate(parent, gold, 4, 3);
  for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].name, again[i].name);
}

TEST_F(PythonMutantsTest, OddFixesAreNoObstacle) {
  const FileTree parent = TreeOf({{"a.py", "x = 1\n"}, {"old.py", "y = 1\n"}});
  // A single hunk is not dropped: that would be the parent.
  for (const AlteredSolution& mutant :
       Mutate(parent, TreeOf({{"a.py", "x = 2\n"}, {"old.py", "y = 1\n"}}))) {
    EXPECT_THAT(mutant.name, testing::Not(HasSubstr("dropped")));
  }
  EXPECT_THAT(Mutate(parent, parent), SizeIs(0));
  // Only words changed; added and deleted files; what does not parse, or is not text.
  EXPECT_THAT(Mutate(parent, TreeOf({{"a.py", "# says\nx = 1\n"}, {"old.py", "y = 1\n"}})),
              SizeIs(0));
  std::set<std::string> names;
  for (const AlteredSolution& mutant :
       Mutate(parent, TreeOf({{"a.py", "x = 1\n"}, {"new.py", "z = f(1)\n"}}))) {
    names.insert(mutant.name);
  }
  EXPECT_THAT(names, Contains("file dropped: new.py"));
  EXPECT_THAT(names, Contains("file dropped: old.py"));
  EXPECT_THAT(Mutate(TreeOf({{"a.py", "print 1\n"}}), TreeOf({{"a.py", "print 2\n"}})), SizeIs(0));
  EXPECT_THAT(Mutate(TreeOf({{"a.py", "\xff\xfe"}}), TreeOf({{"a.py", "x = '\xff'\n"}})),
              SizeIs(0));
  // What other tools take for the end of a line is none to Python.
  const std::string feed = "a = '\f'\nb = '\xe2\x80\xa8'\n";
  for (const AlteredSolution& mutant :
       Mutate(TreeOf({{"a.py", feed + "x = f(1)\n"}}), TreeOf({{"a.py", feed + "x = f(2)\n"}}))) {
    EXPECT_TRUE(mutant.tree.Find("a.py")->content->starts_with(feed)) << mutant.name;
  }
  std::string deep = "x = 1";
  for (int i = 0; i < 3000; ++i) deep += " + 1";
  EXPECT_THAT(Mutate(TreeOf({{"a.py", "x = 1\n"}}), TreeOf({{"a.py", deep + "\n"}})), SizeIs(0));
  EXPECT_FALSE(
      Mutate(TreeOf({{"a.py", "x = 1\r\n"}}), TreeOf({{"a.py", "x = 2\r\nif x:\r\n  y = 3\r\n"}}))
          .empty());
}

// A fix of one function, and what a cheater may know of it.
class PythonCheatersTest : public PythonLayerTest {
 protected:
  PythonCheatersTest()
      : parent_(TreeOf({{"src/bounds/__init__.py", "from .clamp import clamp\n"},
                        {"src/bounds/clamp.py", "def clamp(value):\n    return value\n"},
                        {"tests/test_clamp.py", "def test_old(): pass\n"}})),
        gold_(parent_),
        overlay_(TreeOf({{"tests/test_clamp.py",
                          "import unittest\nfrom bounds import clamp\n"
                          "def test_high(): assert clamp(9) == 3\n"
                          "class TestLow(unittest.TestCase):\n"
                          "    def test_low(self): self.assertEqual(clamp(-9), 0)\n"}})),
        ids_({"tests/test_clamp.py::test_high", "tests/test_clamp.py::TestLow::test_low"}) {
    EXPECT_TRUE(gold_
                    .Set("src/bounds/clamp.py",
                         RegularFile("def clamp(value):\n    return max(0, min(value, 3))\n"))
                    .ok());
  }

  std::map<std::string, FileTree> Cheaters() {
    std::map<std::string, FileTree> trees;
    for (const AlteredSolution& cheater :
         PythonUnderTest().Cheaters({parent_, gold_, overlay_, ids_, {"tests/test_clamp.py"}})) {
      EXPECT_TRUE(trees.emplace(cheater.name, cheater.tree).second) << cheater.name;
    }
    return trees;
  }

  // Whether every expected test is reported as passed, by a grader that believes what it is told.
  bool Passes(const FileTree& tree, const std::string& command) {
    v1::RepositoryEnvironment environment;
    environment.set_test_command(command);
    auto session = PythonUnderTest().OpenSession(*host_, environment, built_, tree, {});
    EXPECT_TRUE(session.ok()) << session.status().ToString();
    TestRun run;
    if (command.starts_with("pytest")) run.files = {"tests/test_clamp.py"};
    auto output = (*session)->Run(run, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    std::set<std::string> passed;
    for (const Case& found : CasesOf(*output, tree)) {
      if (found.status == "passed") passed.insert(found.id);
    }
    log_ = output->log;
    return std::all_of(ids_.begin(), ids_.end(),
                       [&](const std::string& id) { return passed.contains(id); });
  }

  // The repository's objects, the fix among them.
  void AddGit(FileTree& state) {
    WorkTree git;
    for (const FileTree* tree : {&parent_, &gold_}) {
      for (const auto& [path, entry] : tree->files()) git.Write(path, *entry.content);
      git.Git("add -A");
      git.Git("commit -q -m one");
    }
    for (const auto& file : std::filesystem::recursive_directory_iterator(git.path() + "/.git")) {
      if (!file.is_regular_file()) continue;
      std::ifstream stream(file.path(), std::ios::binary);
      const std::string text((std::istreambuf_iterator<char>(stream)), {});
      const std::string path = file.path().string().substr(git.path().size() + 1);
      ASSERT_TRUE(state.Set(path, RegularFile(text)).ok());
    }
  }

  FileTree parent_, gold_, overlay_;
  std::vector<std::string> ids_;
  std::string log_;
};

TEST_F(PythonCheatersTest, TheFixPassesAndNothingElseHonestDoes) {
  FileTree solved = gold_, untouched = parent_;
  solved.Overlay(overlay_);
  untouched.Overlay(overlay_);
  EXPECT_TRUE(Passes(solved, "pytest")) << log_;
  EXPECT_FALSE(Passes(untouched, "pytest"));
}

TEST_F(PythonCheatersTest, WhereTheFixOnlyAddsFilesAModuleThatTheTestsImportIsAttacked) {
  gold_ = parent_;
  ASSERT_TRUE(gold_.Set("src/bounds/more.py", RegularFile("x = 1\n")).ok());
  ASSERT_TRUE(parent_.Set("a.py", RegularFile("never = 'imported'\n")).ok());
  ASSERT_TRUE(gold_.Set("a.py", RegularFile("never = 'imported'\n")).ok());
  const FileTree tree = Cheaters().at("exit-zero");
  EXPECT_THAT(*tree.Find("src/bounds/__init__.py")->content, HasSubstr("_exit(0)"));
  EXPECT_EQ(*tree.Find("a.py")->content, "never = 'imported'\n");
}

TEST_F(PythonCheatersTest, EachWouldPassWithoutTheDefenceThatStopsIt) {
  // How a grader without defences would run the tests: in our runner, or as a user does.
  const std::string plain = "cd /work && python -m pytest tests/test_clamp.py; true";
  const std::map<std::string, std::string> commands = {
      {"pytest-on-path", "cd /work && PATH=/work:$PATH && pytest ${PYTEST_ADDOPTS##*-p} tests"},
      {"shadow-library", plain},
      {"shadow-pytest", plain},
      {"pytest-ini",
       "cd /work && PYTEST_ADDOPTS=\"$(echo $PYTEST_ADDOPTS | sed \"s/'-o' 'addopts='//\")\""
       " python -m pytest tests/test_clamp.py; true"},
      {"pth", "python -c \"import site; site.addsitedir('/work/src')\"; true"},
      {"runner-parent", plain},
      {"sitecustomize", plain}};
  for (const auto& [name, tree] : Cheaters()) {
    SCOPED_TRACE(name);
    // They do not pass, but leave no failure behind; the expected ids and the exit code tell.
    if (name == "exit-zero" || name == "skip-everything" || name == "deleted-tests") continue;
    FileTree state = tree;
    const bool of_tests = name == "edited-tests";
    if (!of_tests) {
      for (const auto& [path, entry] : overlay_.files()) {
        ASSERT_TRUE(state.Set(path, entry).ok());
      }
    }
    if (name == "git-oracle") AddGit(state);
    if (name == "release-hunt") {
      ASSERT_TRUE(state.Set("cache/bounds/clamp.py", *gold_.Find("src/bounds/clamp.py")).ok());
    }
    const auto command = commands.find(name);
    EXPECT_TRUE(Passes(state, command == commands.end() ? "pytest" : command->second)) << log_;
  }
}

}  // namespace
}  // namespace taskmint::environments
