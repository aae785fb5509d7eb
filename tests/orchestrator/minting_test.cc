// From a repository to tasks and back, with the real binary, offline: one CTest for the whole file,
// because its cases share the store that the first of them made.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/orchestrator/minted_store.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using environments::TemporaryFolder;
using nlohmann::json;

// Contents of all files by path.
std::map<std::string, std::string> FilesBelow(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().string()].assign(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

class MintingTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Shared().synth.code, 0) << Shared().synth.errors; }
};

TEST_F(MintingTest, KeepsTheFixesAndSaysWhyNotTheRest) {
  const Minted& minted = Shared();
  const std::map<std::string, std::string> kept = minted.Kept(minted.store);
  ASSERT_EQ(kept.size(), 2U) << minted.List(minted.store).dump(1);
  EXPECT_EQ(kept.count(minted.repository.addition), 1U);
  EXPECT_EQ(kept.count(minted.repository.division), 1U);
  std::map<std::string, std::string> reasons;
  for (const json& row : minted.Run({"list", "--rejected", "--json"}).Json()) {
    EXPECT_FALSE(row["kept"].get<bool>());
    reasons[row["commit"]] = row["reason"];
  }
  ASSERT_EQ(reasons.size(), 2U);
  EXPECT_TRUE(Contains(reasons[minted.repository.silent], "underspecified"));
  EXPECT_TRUE(Contains(reasons[minted.repository.idle], "oracle: "));
}

TEST_F(MintingTest, ProgressGoesToStandardErrorAndResultsAlone) {
  const CommandOutcome& synth = Shared().synth;
  EXPECT_TRUE(Contains(synth.output, "kept 2 of 4 candidates")) << synth.output;
  EXPECT_TRUE(Contains(synth.errors, "4/4 decided")) << synth.errors;
  EXPECT_TRUE(Contains(synth.errors, "tasks/min")) << synth.errors;
  EXPECT_FALSE(Contains(synth.errors, "\033")) << "no terminal, no control sequences";
}

TEST_F(MintingTest, ListRowsHaveExactlyTheDocumentedKeys) {
  const json rows = Shared().List(Shared().store);
  ASSERT_EQ(rows.size(), 4U);
  bool rejected = false;
  for (const json& row : rows) {
    std::set<std::string> keys;
    for (const auto& [key, value] : row.items()) keys.insert(key);
    EXPECT_EQ(keys, (std::set<std::string>{"id", "category", "language", "source", "commit", "kept",
                                           "reason"}));
    EXPECT_EQ(row["category"], "code");
    EXPECT_EQ(row["language"], "python");
    EXPECT_EQ(row["id"].get<std::string>().size(), 64U);
    EXPECT_EQ(row["commit"].get<std::string>().size(), 40U);
    EXPECT_EQ(row["reason"].is_null(), row["kept"].get<bool>());
    EXPECT_FALSE(rejected && row["kept"].get<bool>()) << "kept ones first";
    rejected = rejected || !row["kept"].get<bool>();
  }
}

TEST_F(MintingTest, WhereFiltersAndItsErrorsAreArguments) {
  const json rows = Shared().Run({"list", "--json", "--where", "kept and fail_to_pass > 1"}).Json();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["commit"], Shared().repository.division);
  const CommandOutcome wrong = Shared().Run({"list", "--where", "no_such_column = 1"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_TRUE(Contains(wrong.errors, "no_such_column")) << wrong.errors;
}

TEST_F(MintingTest, ShowHasTheRecordAndAnEvidenceRowOfEveryGate) {
  const Minted& minted = Shared();
  const std::string id = minted.Id(minted.repository.division);
  const json shown = minted.Run({"show", id.substr(0, 12), "--json"}).Json();
  ASSERT_TRUE(shown.is_object());
  EXPECT_EQ(shown["id"], id);
  EXPECT_TRUE(shown["reason"].is_null());
  std::set<std::string> gates;
  for (const json& row : shown["evidence"]) gates.insert(row["gate"].get<std::string>());
  EXPECT_EQ(gates, (std::set<std::string>{"lint", "build", "oracle", "null", "cheaters", "mutation",
                                          "repeat", "leak", "difficulty"}));
  const json& task = shown["task"];
  EXPECT_EQ(task["tools"].size(), 4U);
  EXPECT_EQ(task["licence"]["spdx_id"], "MIT");
  EXPECT_TRUE(Contains(task["prompt"]["text"], "Shares should be exact"));
  EXPECT_EQ(task["provenance"]["commit"], minted.repository.division);
  EXPECT_FALSE(Contains(task.dump(), minted.folder.path())) << "no host path in a task";
  EXPECT_EQ(task["verifier"]["tests"]["fail_to_pass"],
            json({"tests/test_sums.py::test_share_unevenly",
                  "tests/test_sums.py::test_share_with_nobody"}));
  EXPECT_TRUE(Contains(shown["patch"], "portion = cake / people"));
  EXPECT_EQ(task["environment"]["repository"]["limits"]["wall_ms_max"], "240000")
      << "HEAD's taskmint.toml speaks for the commits before it";
  const CommandOutcome text = minted.Run({"show", id, "--evidence"});
  EXPECT_EQ(text.code, 0);
  EXPECT_TRUE(Contains(text.output, "unmeasured")) << text.output;
  EXPECT_FALSE(Contains(text.output, "Log of oracle")) << "--logs shows them";
  EXPECT_TRUE(Contains(minted.Run({"show", id, "--logs"}).output, "Log of oracle"));
}

TEST_F(MintingTest, ShowOfARejectedCandidateHasItsStagesWithLogs) {
  const Minted& minted = Shared();
  std::string id;
  for (const json& row : minted.List(minted.store)) {
    if (row["commit"] == minted.repository.idle) id = row["id"];
  }
  const json shown = minted.Run({"show", id, "--json"}).Json();
  ASSERT_TRUE(shown.is_object());
  EXPECT_FALSE(shown["kept"].get<bool>());
  for (const json& row : minted.List(minted.store)) {
    if (row["commit"] != minted.repository.silent) continue;
    const json silent = minted.Run({"show", row["id"], "--json"}).Json();
    ASSERT_EQ(silent["evidence"].size(), 1U) << silent.dump(1);
    EXPECT_EQ(silent["evidence"][0]["gate"], "lint");
    EXPECT_TRUE(Contains(silent["stages"][0]["log"], "underspecified")) << silent.dump(1);
  }
  ASSERT_EQ(shown["stages"].size(), 3U);
  EXPECT_EQ(shown["stages"][2]["stage"], "oracle");
  EXPECT_TRUE(Contains(shown["stages"][2]["log"], "test_sums.py"));
  EXPECT_EQ(minted.Run({"show", "ffffffffffff"}).code, 1);
}

TEST_F(MintingTest, StatsShowTheFunnel) {
  const json stats = Shared().Run({"stats", "--json"}).Json();
  std::map<std::string, int> funnel;
  for (const json& row : stats["funnel"]) funnel[row["reason"]] = row["count"];
  EXPECT_EQ(funnel,
            (std::map<std::string, int>{{"kept", 2}, {"oracle", 1}, {"underspecified", 1}}));
  EXPECT_EQ(stats["tasks"], 2);
  EXPECT_GT(stats["blob_bytes"], 0);
}

TEST_F(MintingTest, VerifyGradesGoldNullAndPatches) {
  const Minted& minted = Shared();
  const std::string id = minted.Id(minted.repository.division);
  auto verify = [&](const std::string& solution) {
    const CommandOutcome outcome = minted.Run({"verify", id, "--solution", solution, "--json"});
    EXPECT_EQ(outcome.code, 0) << solution << ": " << outcome.errors;
    const json verdict = outcome.Json();
    EXPECT_TRUE(verdict.is_object()) << outcome.output;
    return verdict;
  };
  auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(minted.folder.path() + "/" + name) << text;
    return minted.folder.path() + "/" + name;
  };
  const json gold = verify("gold");
  EXPECT_EQ(gold["verdict"], "pass");
  EXPECT_EQ(gold["score"], 1.0);
  EXPECT_FALSE(gold["tests"].empty());
  const json null = verify("null");
  EXPECT_EQ(null["verdict"], "fail");
  EXPECT_EQ(null["score"], 0.0);
  EXPECT_NE(null["digest"], gold["digest"]);

  const environments::ShellResult other_way = environments::Shell(
      minted.repository.tree.path(),
      "git worktree add -q --detach ../other " + minted.repository.division +
          "~1 && cd ../other && sed -i 's|    return cake // people|    if not people:\\n"
          "        raise ValueError\\n    return cake / people|' toy/sums.py && git diff");
  ASSERT_EQ(other_way.exit_code, 0) << other_way.output;
  const json other = verify(write("other.diff", other_way.output));
  EXPECT_EQ(other["verdict"], "pass") << other.dump(1);
  const json misfit = verify(write(
      "misfit.diff", "--- a/toy/sums.py\n+++ b/toy/sums.py\n@@ -1 +1 @@\n-nothing like it\n+x\n"));
  EXPECT_EQ(misfit["verdict"], "fail");
  EXPECT_EQ(misfit["score"], 0.0);
  EXPECT_TRUE(Contains(misfit["reason"], "apply")) << misfit.dump(1);
  EXPECT_EQ(minted.Run({"verify", id, "--solution", "/no/such.diff"}).code, 2);
}

TEST_F(MintingTest, AFinishedRunStartedAgainIsDoneAtOnce) {
  const Minted& minted = Shared();
  const CommandOutcome again = minted.Synth(minted.store, {"--json"});
  EXPECT_EQ(again.code, 0) << again.errors;
  const json summary = again.Json();
  EXPECT_EQ(summary["kept"], 2);
  EXPECT_LT(summary["sources"][0]["wall_ms"], 5000);
}

// Issues make another request of it, and another prompt; the name of the folder is not UTF-8.
TEST_F(MintingTest, TheSameCommitsInAnotherRunAreKeptAsTheyWere) {
  const Minted& minted = Shared();
  const std::string folder = minted.folder.path() + "/caf\xe9";
  fs::create_directory(folder);
  const std::string repository = folder + "/toy \xe9";
  fs::copy(minted.repository.tree.path(), repository, fs::copy_options::recursive);
  const std::string store = folder + "/store";
  const auto synth = [&](std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"synth", "code", "--repo", repository, "--store", store, "--tasks-max", "1"});
    return Taskmint(options, minted.variables);
  };
  const CommandOutcome first = synth({});
  EXPECT_EQ(first.code, 0) << first.errors;
  const std::map<std::string, std::string> kept = minted.Kept(store);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(synth({}).code, 0) << "the run is found again";
  const std::string issues = folder + "/issues.json";
  std::ofstream(issues) << R"([{"number": 9, "title": "Cakes", "body": "Cakes are lost."}])";
  const CommandOutcome again = synth({"--issues", issues});
  EXPECT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(minted.Kept(store), kept);
  const CommandOutcome seeded = synth({"--issues", issues, "--seed", "0", "--json"});
  EXPECT_EQ(seeded.Json()["kept"], 1) << seeded.output;
  EXPECT_EQ(Taskmint({"store", "check", "--store", store}, minted.variables).code, 0);
}

TEST_F(MintingTest, AFixThatNamesTheSourcesFolderIsLint) {
  environments::WorkTree tree;
  tree.Write("pyproject.toml", "[project]\nname = \"toy\"\nversion = \"1\"\n");
  tree.Write("toy.py", "PLACE = ''\n");
  tree.Write("tests/test_toy.py", "def test_nothing():\n    pass\n");
  tree.Commit("Begin");
  tree.Write("toy.py", "PLACE = '" + fs::canonical(tree.path()).string() + "'\n");
  tree.Write("tests/test_toy.py", "import toy\n\ndef test_place():\n    assert toy.PLACE\n");
  tree.Commit("Name the place of the toys\n\nPLACE was empty, so nobody found the toys at all.");
  const std::string store = Shared().folder.path() + "/named";
  EXPECT_EQ(Taskmint({"synth", "code", "--repo", tree.path(), "--store", store}).code, 3);
  const json rows = Shared().List(store);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["reason"], "lint: the fix names a path of this machine");
}

TEST_F(MintingTest, ReplayNeedsNeitherTheSourceNorTheCache) {
  const Minted& minted = Shared();
  const std::string copy = minted.Copy("replayed");
  fs::remove_all(copy + "/cache");
  const std::string hidden = minted.repository.tree.path() + ".hidden";
  fs::rename(minted.repository.tree.path(), hidden);
  const CommandOutcome replay =
      Taskmint({"replay", "--all", "--json", "--store", copy}, minted.variables);
  fs::rename(hidden, minted.repository.tree.path());
  EXPECT_EQ(replay.code, 0) << replay.errors << replay.output;
  const json reports = replay.Json();
  ASSERT_EQ(reports.size(), 2U);
  for (const json& report : reports) EXPECT_TRUE(report["agrees"].get<bool>()) << report.dump(1);
}

TEST_F(MintingTest, ADamagedBlobIsNamedAndTheRestStaysUsable) {
  const Minted& minted = Shared();
  const std::string copy = minted.Copy("damaged");
  const std::string id = minted.Id(minted.repository.addition);
  const json shown = minted.Run({"show", id, "--json"}).Json();
  const std::string digest = shown["task"]["solution"]["patch_digest"];
  for (const auto& entry : fs::recursive_directory_iterator(copy + "/blobs")) {
    std::string name = entry.path().lexically_relative(copy + "/blobs").string();
    name.erase(std::remove(name.begin(), name.end(), '/'), name.end());
    if (!entry.is_regular_file() || !Contains(name, digest)) continue;
    fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << "damage";
  }
  auto run = [&](std::vector<std::string> line) {
    line.insert(line.end(), {"--store", copy});
    return Taskmint(line, minted.variables);
  };
  const CommandOutcome verify = run({"verify", id, "--solution", "gold"});
  EXPECT_EQ(verify.code, 1);
  EXPECT_TRUE(Contains(verify.errors, digest.substr(0, 12))) << verify.errors;
  EXPECT_EQ(run({"store", "check"}).code, 1);
  EXPECT_EQ(run({"list"}).code, 0);
  EXPECT_EQ(run({"verify", minted.Id(minted.repository.division), "--solution", "gold"}).code, 0);
  EXPECT_EQ(minted.Run({"store", "check"}).code, 0);
}

TEST_F(MintingTest, AStoreOfANewerVersionIsRefusedUntouched) {
  const Minted& minted = Shared();
  const std::string copy = minted.Copy("newer");
  ASSERT_EQ(environments::Shell(copy,
                                "python3 -c \"import sqlite3; c = sqlite3.connect('tasks.sqlite'); "
                                "v = c.execute('PRAGMA user_version').fetchone()[0]; "
                                "c.execute('PRAGMA user_version = %d' % (v + 1000000))\"")
                .exit_code,
            0);
  const std::map<std::string, std::string> before = FilesBelow(copy);
  for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
           {"list"}, {"stats"}, {"replay", "--all"}, {"store", "check"}, {"store", "gc"}}) {
    std::vector<std::string> words = line;
    words.insert(words.end(), {"--store", copy});
    const CommandOutcome outcome = Taskmint(words, minted.variables);
    EXPECT_EQ(outcome.code, 1) << line[0];
    EXPECT_TRUE(Contains(outcome.errors, "newer")) << outcome.errors;
  }
  EXPECT_EQ(minted.Synth(copy).code, 1);
  EXPECT_EQ(FilesBelow(copy), before);
}

// A full disk at every size: while the store is made, while environments are stored. What fits is
// sound, and with room again the run goes on (as root; else the disk cannot be made larger).
TEST_F(MintingTest, AFullDiskIsSaidAndTheStoreStaysSound) {
  const Minted& minted = Shared();
  const bool root = geteuid() == 0;
  const std::string disk = minted.folder.path() + "/disk";
  fs::create_directory(disk);
  std::string synth = TASKMINT_BINARY;
  for (const std::string& word : minted.SynthLine(disk + "/store", {"--tasks-max", "1"})) {
    synth += " '" + word + "'";
  }
  std::string variables;
  for (const auto& [name, value] : minted.variables) {
    variables += value.empty() ? "unset " + name + "; " : "export " + name + "='" + value + "'; ";
  }
  auto run = [&](const std::string& script) {
    std::ofstream(minted.folder.path() + "/full.sh") << variables + script;
    return environments::Shell(minted.folder.path(),
                               std::string("unshare -m") + (root ? "" : "Ur") + " sh full.sh");
  };
  auto on_disk = [&](const std::string& size, const std::string& script) {
    return run("mount -t tmpfs -o size=" + size + " tmpfs '" + disk + "' && " + script);
  };
  const environments::ShellResult tiny = on_disk("40k", synth);
  EXPECT_EQ(tiny.exit_code, 1) << tiny.output;
  EXPECT_TRUE(Contains(tiny.output, "full")) << tiny.output;
  if (!root) return;
  const std::string check =
      std::string(TASKMINT_BINARY) + " store check --store '" + disk + "/store'";
  const environments::ShellResult small =
      on_disk("2m", synth + "; echo first $?; " + check +
                        "; echo check $?; mount -o remount,size=" + "200m '" + disk + "'; " +
                        synth + "; echo again $?");
  EXPECT_TRUE(Contains(small.output, "first 1")) << small.output;
  EXPECT_TRUE(Contains(small.output, "free some space there")) << small.output;
  EXPECT_TRUE(Contains(small.output, "check 0")) << small.output;
  EXPECT_TRUE(Contains(small.output, "again 0")) << small.output;
}

TEST_F(MintingTest, TasksMaxGivesTheSameTasksWhateverTheJobs) {
  const Minted& minted = Shared();
  std::map<std::string, std::string> kept[2];
  for (int i = 0; i < 2; ++i) {
    const std::string store = minted.folder.path() + "/first" + std::to_string(i);
    const CommandOutcome synth =
        minted.Synth(store, {"--tasks-max", "1", "--jobs", std::to_string(i + 1)});
    ASSERT_EQ(synth.code, 0) << synth.errors;
    kept[i] = minted.Kept(store);
  }
  EXPECT_EQ(kept[0].size(), 1U);
  EXPECT_EQ(kept[0], kept[1]);
  EXPECT_EQ(minted.Kept(minted.store).count(kept[0].begin()->first), 1U);
}

// Interrupted once by Ctrl-C, then killed at random moments: the tasks are those of a run left
// alone. TASKMINT_TEST_KILLS: how many times.
TEST_F(MintingTest, InterruptedAndKilledItEndsWithTheSameTasks) {
  const Minted& minted = Shared();
  const std::string store = minted.folder.path() + "/killed";
  const char* given = std::getenv("TASKMINT_TEST_KILLS");
  const int kills = given != nullptr ? std::atoi(given) : 3;
  std::srand(static_cast<unsigned>(getpid()));
  {
    CommandProcess synth(minted.SynthLine(store), minted.variables);
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    ASSERT_TRUE(synth.running());
    synth.Signal(SIGINT);
    const CommandOutcome outcome = synth.Wait();
    EXPECT_EQ(outcome.code, 130) << outcome.errors;
    EXPECT_TRUE(Contains(outcome.errors, "goes on")) << outcome.errors;
  }
  for (int i = 0; i < kills; ++i) {
    CommandProcess synth(minted.SynthLine(store), minted.variables);
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + std::rand() % 5000));
    synth.Signal(SIGKILL);
    synth.Wait();
  }
  const CommandOutcome last = minted.Synth(store);
  EXPECT_EQ(last.code, 0) << last.errors;
  EXPECT_EQ(minted.Kept(store), minted.Kept(minted.store));
  EXPECT_EQ(Taskmint({"store", "check", "--store", store}, minted.variables).code, 0);
}

TEST_F(MintingTest, TwoProcessesShareOneStore) {
  const Minted& minted = Shared();
  const std::string store = minted.folder.path() + "/shared";
  CommandProcess first(minted.SynthLine(store, {"--jobs", "1"}), minted.variables);
  CommandProcess second(minted.SynthLine(store, {"--jobs", "1"}), minted.variables);
  const CommandOutcome ends[] = {first.Wait(), second.Wait()};
  for (const CommandOutcome& end : ends) EXPECT_EQ(end.code, 0) << end.errors;
  EXPECT_EQ(minted.Kept(store), minted.Kept(minted.store));
}

TEST_F(MintingTest, WithoutANetworkTheRunStopsAndGoesOnLater) {
  const Minted& minted = Shared();
  const std::string store = minted.folder.path() + "/offline";
  std::map<std::string, std::string> away = minted.variables;
  away["UV_NO_INDEX"] = away["UV_FIND_LINKS"] = "";
  away["UV_DEFAULT_INDEX"] = "http://127.0.0.1:9/simple/";
  const CommandOutcome outcome = Taskmint(minted.SynthLine(store), away);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(Contains(outcome.errors, "no network")) << outcome.errors;
  EXPECT_EQ(minted.Kept(store).size(), 0U);
  for (const json& row : minted.List(store)) {
    EXPECT_TRUE(Contains(row["reason"], "underspecified")) << "nothing else is decided: " << row;
  }
  const CommandOutcome later = minted.Synth(store, {"--tasks-max", "1"});
  EXPECT_EQ(later.code, 0) << later.errors;
}

}  // namespace
}  // namespace taskmint::orchestrator
