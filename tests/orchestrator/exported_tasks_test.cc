// Tasks that were really minted: exported, imported elsewhere, and graded there as at home.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "datasets/archive.h"
#include "tests/orchestrator/minted_store.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using environments::TemporaryFolder;
using nlohmann::json;

std::string WholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ExportedTasksTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Shared().synth.code, 0) << Shared().synth.errors; }
};

TEST_F(ExportedTasksTest, TheTupleIsTheSameAfterwardsAndGradesTheSame) {
  const Minted& minted = Shared();
  std::vector<std::string> ids;
  for (const auto& [commit, id] : minted.Kept(minted.store)) ids.push_back(id);
  ASSERT_EQ(ids.size(), 2U);
  for (const std::string format : {"harbor", "swebench"}) {
    const std::string out = minted.folder.path() + "/" + format;
    const CommandOutcome outcome = Taskmint({"export", "--format", format, "--no-prove", "--store",
                                             minted.store, "--out", out, "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.errors << outcome.output;
    EXPECT_EQ(outcome.Json()["exported"], 2);
    const std::string other = out + "-store";
    ASSERT_EQ(Taskmint({"import", out, "--store", other}).code, 0);
    for (const std::string& id : ids) {
      const json before = Taskmint({"show", id, "--json", "--store", minted.store}).Json();
      const json after = Taskmint({"show", id, "--json", "--store", other}).Json();
      EXPECT_EQ(before["task"], after["task"]);
      EXPECT_EQ(before["patch"], after["patch"]);
      ASSERT_EQ(before["evidence"].size() + 1, after["evidence"].size());
      for (size_t i = 0; i < before["evidence"].size(); ++i) {
        EXPECT_EQ(before["evidence"][i], after["evidence"][i]);
      }
    }
    EXPECT_EQ(Taskmint({"store", "check", "--store", other}).code, 0);
  }
  const std::string other = minted.folder.path() + "/harbor-store";
  const CommandOutcome replay = Taskmint({"replay", "--all", "--store", other}, minted.variables);
  EXPECT_EQ(replay.code, 0) << replay.output << replay.errors;
  for (const auto& [solution, verdict] : {std::pair("gold", "pass"), std::pair("null", "fail")}) {
    const CommandOutcome verify = Taskmint(
        {"verify", ids[0], "--solution", solution, "--json", "--store", other}, minted.variables);
    EXPECT_EQ(verify.Json()["verdict"], verdict) << verify.output << verify.errors;
  }
  // A run of the same source finds the imported tasks, and keeps them.
  const CommandOutcome again = minted.Synth(other);
  EXPECT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(Taskmint({"list", "--where", "kept", "--json", "--store", other}).Json().size(), 2U);
}

TEST_F(ExportedTasksTest, WhatIsExportedIsProvenUnlessAskedOtherwise) {
  const Minted& minted = Shared();
  const std::string out = minted.folder.path() + "/proven";
  const std::string where = "\"commit\" = '" + minted.repository.division + "'";
  const CommandOutcome outcome =
      Taskmint({"export", "--store", minted.store, "--out", out, "--where", where, "--json"},
               minted.variables);
  ASSERT_EQ(outcome.code, 0) << outcome.errors << outcome.output;
  const json summary = outcome.Json();
  EXPECT_EQ(summary["proven"], true);
  ASSERT_EQ(summary["exported"], 1) << outcome.output;
  EXPECT_GT(summary["tasks"][0]["cheaters"], 20);
  const std::string folder = out + "/" + summary["tasks"][0]["folder"].get<std::string>();
  EXPECT_TRUE(Contains(WholeFile(folder + "/task.toml"), "proven = true"));
  EXPECT_TRUE(Contains(WholeFile(out + "/taskmint-export.json"), "\"proven\": true"));
}

TEST_F(ExportedTasksTest, TheAgentsFilesHoldNeitherTestsNorHistory) {
  const Minted& minted = Shared();
  const std::string out = minted.folder.path() + "/seen";
  ASSERT_EQ(Taskmint({"export", "--no-prove", "--store", minted.store, "--out", out}).code, 0);
  for (const auto& task : fs::directory_iterator(out + "/tasks")) {
    const std::string context = task.path().string() + "/environment";
    const auto tree = datasets::ReadArchiveFile(context + "/repo.tar.gz");
    ASSERT_TRUE(tree.ok()) << tree.status().ToString();
    EXPECT_TRUE(tree->Contains("toy/sums.py"));
    for (const auto& [path, entry] : tree->files()) EXPECT_FALSE(path.starts_with(".git/")) << path;
    const std::string patch = WholeFile(task.path().string() + "/solution/gold.patch");
    EXPECT_TRUE(Contains(patch, "+++ b/toy/sums.py")) << patch;
    EXPECT_FALSE(Contains(patch, "tests/test_sums.py"));
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(context)) {
      names.insert(entry.path().filename().string().substr(0, 6));
    }
    EXPECT_EQ(names, (std::set<std::string>{"Docker", "repo.t", "layer-"}));
  }
}

}  // namespace
}  // namespace taskmint::orchestrator
