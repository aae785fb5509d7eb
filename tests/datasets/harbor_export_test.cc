#include "datasets/harbor_export.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "datasets/toml_text.h"
#include "tests/datasets/sample_task.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;

std::string TextOf(const TaskFolder& folder, const std::string& path) {
  const FileEntry* entry = folder.files.Find(path);
  EXPECT_NE(entry, nullptr) << path;
  return entry == nullptr ? "" : *entry->content;
}

TaskFolder Exported(const ExportedTask& task) { return HarborTask(task, {}, "acme").value(); }

TEST(HarborExportTest, TheTaskFileIsAsHarborReadsIt) {
  ExportedTask task = SampleTask(1);
  task.proven = true;
  const json document = ReadToml(TextOf(Exported(task), "task.toml"), "task.toml").value();
  EXPECT_EQ(document["schema_version"], "1.4");
  EXPECT_EQ(document["artifacts"], json::array({"/work"}));
  EXPECT_EQ(document["task"]["name"], "acme/part-" + task.kept.task().id().substr(0, 12));
  EXPECT_EQ(document["task"]["description"], "Mend part 1");
  EXPECT_EQ(document["agent"]["network_mode"], "no-network");
  EXPECT_EQ(document["environment"]["network_mode"], "no-network");
  EXPECT_EQ(document["environment"]["workdir"], "/work");
  EXPECT_EQ(document["environment"]["memory_mb"], 4096);
  EXPECT_TRUE(document["environment"]["build_timeout_sec"].is_number_float());
  EXPECT_EQ(document["verifier"]["environment_mode"], "separate");
  EXPECT_EQ(document["verifier"]["network_mode"], "no-network");
  EXPECT_EQ(document["verifier"]["environment"]["network_mode"], "no-network");
  EXPECT_GE(document["verifier"]["timeout_sec"].get<double>(), 1'200);
  const json& own = document["metadata"]["taskmint"];
  EXPECT_EQ(own["id"], task.kept.task().id());
  EXPECT_EQ(own["source"], "https://example.org/owner/part.git");
  EXPECT_EQ(own["licence"], "MIT");
  EXPECT_EQ(own["base"], "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(own["proven"], true);
  EXPECT_EQ(own["commit"], task.kept.commit());
}

TEST(HarborExportTest, ForgedRewardsGoBeforeAnythingIsGraded) {
  const TaskFolder folder = Exported(SampleTask(1));
  const std::string script = TextOf(folder, "tests/test.sh");
  const size_t removal = script.find(
      "rm -f /logs/verifier/reward.json /logs/verifier/reward.txt /tmp/rllm/reward.json\n");
  const size_t grading = script.find("/tests/grade.py --state /work --reward-dir /logs/verifier");
  ASSERT_NE(removal, std::string::npos);
  ASSERT_NE(grading, std::string::npos);
  EXPECT_LT(removal, grading);
  EXPECT_EQ(folder.files.Find("tests/test.sh")->kind, FileEntry::Kind::kExecutable);
  EXPECT_EQ(folder.files.Find("solution/solve.sh")->kind, FileEntry::Kind::kExecutable);
  EXPECT_TRUE(Contains(TextOf(folder, "tests/Dockerfile"), "COPY . /tests/\n"));
  EXPECT_FALSE(Contains(TextOf(folder, "tests/Dockerfile"), "repo.tar.gz"));
}

TEST(HarborExportTest, TheGraderIsStartedWithoutWhatAnImageMaySet) {
  ExportedTask task = SampleTask(1);
  auto& variables =
      *task.kept.mutable_task()->mutable_environment()->mutable_repository()->mutable_variables();
  variables["TZ"] = "CET";
  const TaskFolder folder = Exported(task);
  EXPECT_TRUE(Contains(TextOf(folder, "tests/test.sh"), "exec /usr/bin/env -i PATH="));
  EXPECT_TRUE(Contains(TextOf(folder, "tests/test.sh"), "/usr/bin/python3 -I -S /tests/grade.py "));
  EXPECT_TRUE(Contains(TextOf(folder, "environment/Dockerfile"), "ENV TZ=\"CET\"\n"));
  EXPECT_FALSE(Contains(TextOf(folder, "tests/Dockerfile"), "CET"));
  EXPECT_TRUE(Contains(TextOf(folder, "tests/Dockerfile"), "ENV PATH=\"/usr/bin:/bin\"\n"));
  variables["PYTHONPATH"] = "/of/the/agent";
  const Status status = HarborTask(task, {}, "taskmint").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(Contains(status.message(), "variables hold 'PYTHONPATH'")) << status.ToString();
}

TEST(HarborExportTest, TheInstructionSaysWhereTheRepositoryIs) {
  const std::string text = TextOf(Exported(SampleTask(1)), "instruction.md");
  EXPECT_TRUE(Contains(text,
                       "Mend part 1\n\nIt is \xe2\x80\x9c"
                       "broken\xe2\x80\x9d."));
  EXPECT_TRUE(Contains(text, "`/work`"));
}

TEST(HarborExportTest, ScriptsAreShell) {
  const TaskFolder folder = Exported(SampleTask(1));
  for (const char* path : {"tests/test.sh", "solution/solve.sh"}) {
    const std::string command = "sh -n <<'END'\n" + TextOf(folder, path) + "\nEND\n";
    EXPECT_EQ(std::system(command.c_str()), 0) << path;
  }
}

// By hand: `printf 'instruction.md\0%s\ntask.toml\0%s\n' ... | sha256sum`.
TEST(HarborExportTest, TheContentHashIsHarbors) {
  FileDigests digests;
  digests["task.toml"] = Sha256Hex("t");
  digests["instruction.md"] = Sha256Hex("i");
  const std::string expected = Sha256Hex(std::string("instruction.md") + '\0' + Sha256Hex("i") +
                                         "\ntask.toml" + '\0' + Sha256Hex("t") + "\n");
  EXPECT_EQ(HarborContentHash(digests), expected);
  for (const char* path : {"taskmint/task.json", "other.md", "tests/__pycache__/a.pyc",
                           "tests/a.pyc", "solution/.DS_Store", "environment/x~", "tests/.a.swp"}) {
    digests[path] = Sha256Hex("x");
    EXPECT_EQ(HarborContentHash(digests), expected) << path;
  }
  digests["tests/__pycache__"] = Sha256Hex("x");  // a file of that name is none of the folder's
  EXPECT_NE(HarborContentHash(digests), expected);
}

TEST(HarborExportTest, TheContentHashCoversTheSideFiles) {
  ExportedTask other = SampleTask(1);
  other.kept.mutable_evidence(0)->set_detail("something else");
  EXPECT_NE(HarborContentHash(DigestsOf(Exported(SampleTask(1)))),
            HarborContentHash(DigestsOf(Exported(other))));
}

TEST(HarborExportTest, TheDatasetHashIsHarbors) {
  HarborDataset dataset{"a/b", "", {{"a/x", Sha256Hex("2")}, {"a/y", Sha256Hex("1")}}, {}};
  std::string one = Sha256Hex("1");
  std::string two = Sha256Hex("2");
  if (two < one) std::swap(one, two);
  EXPECT_EQ(HarborDatasetHash(dataset), Sha256Hex(one + "," + two));
  dataset.files = {{"README.md", Sha256Hex("r")}};
  EXPECT_EQ(HarborDatasetHash(dataset),
            Sha256Hex(one + "," + two + ";README.md:" + Sha256Hex("r")));
  const json document = ReadToml(HarborDatasetToml(dataset), "dataset.toml").value();
  EXPECT_EQ(document["dataset"]["name"], "a/b");
  EXPECT_EQ(document["tasks"][0]["digest"], "sha256:" + Sha256Hex("2"));
  EXPECT_EQ(document["files"][0]["path"], "README.md");
}

TEST(HarborExportTest, NamesAreMadeOfWhatEveryFormatTakes) {
  const auto names = [](const std::string& source) {
    v1::Task task;
    task.set_id(std::string(64, 'a'));
    task.mutable_provenance()->set_source(source);
    return NamesOf(task);
  };
  EXPECT_EQ(names("https://github.com/python-attrs/attrs").instance,
            "python-attrs__attrs-aaaaaaaaaaaa");
  EXPECT_EQ(names("ssh://git@host/a/b/C.git/").folder, "c-aaaaaaaaaaaa");
  EXPECT_EQ(names("My Repo__x..y").instance, "local__my-repo_x.y-aaaaaaaaaaaa");
  EXPECT_EQ(names("\xe2\x98\x83").folder, "x-aaaaaaaaaaaa");
  EXPECT_EQ(names("https://host").folder, "host-aaaaaaaaaaaa");
  EXPECT_EQ(PortableName(std::string(500, 'a')).size(), 60U);
}

}  // namespace
}  // namespace taskmint::datasets
