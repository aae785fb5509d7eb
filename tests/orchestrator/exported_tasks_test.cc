// Tasks that were really minted: exported, imported elsewhere, and graded there as at home.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "datasets/archive.h"
#include "tests/orchestrator/command_process.h"
#include "tests/orchestrator/offline.h"
#include "tests/orchestrator/toy_repository.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using environments::TemporaryFolder;
using nlohmann::json;

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string WholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The toy repository's tasks, minted once, in a store and as both exports of it.
struct ExportedToy {
  ToyRepository repository;
  TemporaryFolder folder;
  std::map<std::string, std::string> variables = Offline(folder.path());
  std::string store = folder.path() + "/store";
  CommandOutcome synth;

  ExportedToy() {
    synth = Run({"synth", "code", "--repo", repository.tree.path(), "--store", store});
  }

  CommandOutcome Run(const std::vector<std::string>& line) const {
    return Taskmint(line, variables);
  }
  std::string Path(const std::string& name) const { return folder.path() + "/" + name; }
  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const json& row : Run({"list", "--json", "--store", store}).Json()) {
      if (row["kept"].get<bool>()) ids.push_back(row["id"]);
    }
    return ids;
  }
};

const ExportedToy& Toy() {
  static const auto* const toy = new ExportedToy;
  return *toy;
}

class ExportedTasksTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Toy().synth.code, 0) << Toy().synth.errors; }
};

TEST_F(ExportedTasksTest, TheTupleIsTheSameAfterwardsAndGradesTheSame) {
  const ExportedToy& toy = Toy();
  const std::vector<std::string> ids = toy.Ids();
  ASSERT_EQ(ids.size(), 2U);
  for (const std::string format : {"harbor", "swebench"}) {
    const std::string out = toy.Path(format);
    const CommandOutcome outcome = toy.Run(
        {"export", "--format", format, "--no-prove", "--store", toy.store, "--out", out, "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.errors << outcome.output;
    EXPECT_EQ(outcome.Json()["exported"], 2);
    const std::string other = out + "-store";
    ASSERT_EQ(toy.Run({"import", out, "--store", other}).code, 0);
    for (const std::string& id : ids) {
      const json before = toy.Run({"show", id, "--json", "--store", toy.store}).Json();
      const json after = toy.Run({"show", id, "--json", "--store", other}).Json();
      EXPECT_EQ(before["task"], after["task"]);
      EXPECT_EQ(before["patch"], after["patch"]);
      ASSERT_EQ(before["evidence"].size() + 1, after["evidence"].size());
      for (size_t i = 0; i < before["evidence"].size(); ++i) {
        EXPECT_EQ(before["evidence"][i], after["evidence"][i]);
      }
    }
    EXPECT_EQ(toy.Run({"store", "check", "--store", other}).code, 0);
  }
  const std::string other = toy.Path("harbor-store");
  const CommandOutcome replay = toy.Run({"replay", "--all", "--store", other});
  EXPECT_EQ(replay.code, 0) << replay.output << replay.errors;
  for (const auto& [solution, verdict] : {std::pair("gold", "pass"), std::pair("null", "fail")}) {
    const CommandOutcome verify =
        toy.Run({"verify", ids[0], "--solution", solution, "--json", "--store", other});
    EXPECT_EQ(verify.Json()["verdict"], verdict) << verify.output << verify.errors;
  }
  // A run of the same source finds the imported tasks, and keeps them.
  const CommandOutcome again =
      toy.Run({"synth", "code", "--repo", toy.repository.tree.path(), "--store", other, "--json"});
  EXPECT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(toy.Run({"list", "--where", "kept", "--json", "--store", other}).Json().size(), 2U);
}

TEST_F(ExportedTasksTest, TheAgentsFilesHoldNeitherTestsNorHistory) {
  const ExportedToy& toy = Toy();
  const std::string out = toy.Path("seen");
  ASSERT_EQ(toy.Run({"export", "--no-prove", "--store", toy.store, "--out", out}).code, 0);
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
