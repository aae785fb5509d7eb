// Exported folders, and what is made of them when they come back, changed or not.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/archive.h"
#include "datasets/folder_writing.h"
#include "datasets/harbor_export.h"
#include "datasets/swebench_export.h"
#include "datasets/task_import.h"
#include "datasets/toml_text.h"
#include "proto/base/json.h"
#include "tests/datasets/sample_task.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void Spill(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string OneWord(std::string_view id) {
  std::string word(id);
  for (char& c : word) c = c == ' ' ? '_' : c;
  return word;
}

class ExchangeTest : public testing::TestWithParam<ExportFormat> {
 protected:
  void SetUp() override {
    layer_.mount_path = "/venv";
    layer_.host_path = folder_.path() + "/layer";
    layer_.name = LayerArchiveName(TreeDigest(SampleLayer()));
    const std::string bytes = WriteArchive(SampleLayer()).value();
    layer_.digest = Sha256Hex(bytes);
    Spill(layer_.host_path, bytes);
  }

  bool harbor() const { return GetParam() == ExportFormat::kHarbor; }
  TaskFolder Files(const ExportedTask& task) {
    if (harbor()) return HarborTask(task, {layer_}, "taskmint").value();
    return MakeSwebenchTask(task, {layer_}, {"taskmint/set", "train", OneWord}).value().folder;
  }
  // Writes the sample as a folder of one task.
  std::string Export(const ExportedTask& task) {
    const std::string path = folder_.path() + "/task" + std::to_string(++exported_);
    const Status status = WriteTaskFolder(Files(task), path);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return path;
  }
  Result<v1::Candidate> Import(const std::string& path) {
    TASKMINT_ASSIGN_OR_RETURN(auto folder, ForeignFolder::Open(path));
    TASKMINT_ASSIGN_OR_RETURN(auto places, FindForeignTasks(*folder));
    EXPECT_EQ(places.size(), 1U);
    EXPECT_EQ(places[0].format, GetParam());
    KnownLayers known;
    return ReadForeignTask(*folder, places[0], blobs_, known);
  }
  std::string Refusal(const std::string& path) {
    const auto imported = Import(path);
    EXPECT_FALSE(imported.ok()) << path;
    if (imported.ok()) return "";
    EXPECT_EQ(imported.status().boundary(), Boundary::kConfig) << imported.status().ToString();
    return imported.status().message();
  }
  // The folder's files vouch for each other: whoever changes one on purpose mends the hash as well.
  void MendHash(const std::string& path) {
    FileDigests digests;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      digests[entry.path().lexically_relative(path).string()] = Sha256Hex(Slurp(entry.path()));
    }
    if (!harbor()) {
      return Spill(path + "/" + kSwebenchFolderHash,
                   "sha256:" + FolderHash(digests, kSwebenchFolderHash) + "\n");
    }
    json document = ReadToml(Slurp(path + "/task.toml"), "task.toml").value();
    document["metadata"]["taskmint"][kHarborFolderHashKey] =
        "sha256:" + FolderHash(digests, "task.toml");
    Spill(path + "/task.toml", WriteToml(document));
  }
  // Changes the side record and mends the hash.
  template <typename Change>
  std::string WithRecord(const Change& change) {
    const std::string path = Export(SampleTask(1));
    json record = ParseJson(Slurp(path + "/" + kSideRecord)).value();
    change(record);
    Spill(path + "/" + kSideRecord, record.dump());
    MendHash(path);
    return path;
  }
  // The same with an id that the changed record gives.
  template <typename Change>
  std::string WithTask(const Change& change) {
    v1::Task task = SampleTask(1).kept.task();
    change(task);
    task.set_id(TaskId(task));
    const std::string path =
        WithRecord([&](json& record) { record["task"] = ParseJson(RecordToJson(task)).value(); });
    if (!harbor()) return path;
    json document = ReadToml(Slurp(path + "/task.toml"), "task.toml").value();
    document["metadata"]["taskmint"]["id"] = task.id();
    Spill(path + "/task.toml", WriteToml(document));
    return path;
  }

  TemporaryFolder folder_;
  LayerArchive layer_;
  BlobStore blobs_{folder_.path() + "/blobs"};
  int exported_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Formats, ExchangeTest,
                         testing::Values(ExportFormat::kHarbor, ExportFormat::kSwebench),
                         [](const auto& format) { return ExportFormatName(format.param); });

TEST_P(ExchangeTest, TheSameTupleComesBackWithItsEvidenceAndAllItRefersTo) {
  const ExportedTask sample = SampleTask(1);
  const auto imported = Import(Export(sample));
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  const v1::Task& task = imported->task();
  EXPECT_EQ(SerializeDeterministic(task), SerializeDeterministic(sample.kept.task()));
  EXPECT_EQ(imported->state(), v1::Candidate::STATE_KEPT);
  ASSERT_EQ(imported->evidence_size(), sample.kept.evidence_size() + 1);
  for (int i = 0; i < sample.kept.evidence_size(); ++i) {
    EXPECT_EQ(SerializeDeterministic(imported->evidence(i)),
              SerializeDeterministic(sample.kept.evidence(i)));
  }
  EXPECT_EQ(imported->evidence(imported->evidence_size() - 1).gate(), "import");
  EXPECT_TRUE(blobs_.GetTree(task.environment().repository().tree_digest()).value() ==
              sample.parent_tree);
  EXPECT_TRUE(blobs_.GetTree(task.verifier().tests().overlay_digest()).value() == sample.overlay);
  EXPECT_TRUE(blobs_.GetTree(task.environment().repository().layers(0).tree_digest()).value() ==
              SampleLayer());
  EXPECT_EQ(blobs_.Get(task.solution().patch_digest()).value(), sample.gold_patch);
  EXPECT_EQ(blobs_.Get(sample.logs.begin()->first).value(), sample.logs.begin()->second);
}

TEST_P(ExchangeTest, EqualTasksGiveEqualFiles) {
  EXPECT_EQ(DigestsOf(Files(SampleTask(1))), DigestsOf(Files(SampleTask(1))));
  EXPECT_NE(DigestsOf(Files(SampleTask(1))), DigestsOf(Files(SampleTask(2))));
}

TEST_P(ExchangeTest, AnImportedTaskIsExportedAsBefore) {
  ExportedTask sample = SampleTask(1);
  sample.kept = Import(Export(SampleTask(1))).value();
  const auto again = Import(Export(sample));
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->task().id(), sample.kept.task().id());
  EXPECT_EQ(again->evidence_size(), sample.kept.evidence_size());
}

TEST_P(ExchangeTest, AnArchiveOfTheFolderIsTheFolder) {
  const std::string path = Export(SampleTask(1));
  const std::string archive = folder_.path() + "/all.tar.gz";
  for (const std::string& what :
       {std::string("-C " + path + " ."),
        "-C " + folder_.path() + " " + fs::path(path).filename().string()}) {
    ASSERT_EQ(std::system(("tar -czf " + archive + " " + what).c_str()), 0);
    const auto imported = Import(archive);
    ASSERT_TRUE(imported.ok()) << imported.status().ToString();
    EXPECT_EQ(imported->task().id(), SampleTask(1).kept.task().id());
  }
}

TEST_P(ExchangeTest, NeitherTestsNorSolutionAreInTheAgentsImage) {
  const std::string path = Export(SampleTask(1));
  const std::string context = harbor() ? path + "/environment" : path;
  const std::string dockerfile = Slurp(context + "/Dockerfile");
  EXPECT_TRUE(dockerfile.starts_with("FROM debian:bookworm-slim\n")) << dockerfile;
  EXPECT_TRUE(Contains(dockerfile, "ADD repo.tar.gz /work/\n")) << dockerfile;
  EXPECT_TRUE(Contains(dockerfile, "ADD " + layer_.name + " /venv/\n")) << dockerfile;
  EXPECT_FALSE(Contains(dockerfile, "COPY")) << dockerfile;
  for (const char* word : {"overlay", "gold", "grade", "taskmint/"}) {
    EXPECT_FALSE(Contains(dockerfile, std::string("ADD ") + word)) << dockerfile;
  }
  EXPECT_TRUE(ReadArchiveFile(context + "/repo.tar.gz").value() == SampleTask(1).parent_tree);
}

TEST_P(ExchangeTest, LayersAreHardLinksToOneArchive) {
  Export(SampleTask(1));
  Export(SampleTask(2));
  struct stat status {};
  ASSERT_EQ(stat(layer_.host_path.c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, harbor() ? 5U : 3U);
}

TEST_P(ExchangeTest, AChangedFileIsRefused) {
  for (const std::string file :
       {harbor() ? "instruction.md" : "problem_statement.md", kSideRecord, kSideOverlay}) {
    const std::string path = Export(SampleTask(1));
    Spill(path + "/" + file, Slurp(path + "/" + file) + " ");
    EXPECT_TRUE(Contains(Refusal(path), "changed after the export")) << file;
  }
  const std::string path = Export(SampleTask(1));
  Spill(path + "/more", "x");
  EXPECT_TRUE(Contains(Refusal(path), "changed after the export"));
}

TEST_P(ExchangeTest, OtherTreesThanTheRecordNamesAreRefused) {
  FileTree other;
  SetFile(other, "x", RegularFile("y"));
  const std::string archive = WriteArchive(other).value();
  const std::string below = harbor() ? "environment/" : "";
  for (const std::string& file :
       {below + "repo.tar.gz", below + layer_.name, std::string(kSideOverlay)}) {
    const std::string path = Export(SampleTask(1));
    fs::remove(path + "/" + file);
    Spill(path + "/" + file, archive);
    MendHash(path);
    const std::string refusal = Refusal(path);
    EXPECT_TRUE(Contains(refusal, file + ": it holds the tree " + TreeDigest(other))) << refusal;
    fs::remove(path + "/" + file);
    MendHash(path);
    EXPECT_TRUE(Contains(Refusal(path), "it is not there")) << file;
  }
  const std::string path = Export(SampleTask(1));
  const std::string patch = harbor() ? "solution/gold.patch" : "gold.patch";
  Spill(path + "/" + patch, "another\n");
  MendHash(path);
  EXPECT_TRUE(Contains(Refusal(path), patch + ": its digest is"));
}

TEST_P(ExchangeTest, ARecordWithAnotherIdThanItsPartsGiveIsRefused) {
  const std::string path =
      WithRecord([](json& record) { record["task"]["prompt"]["text"] = "Do nothing"; });
  EXPECT_TRUE(Contains(Refusal(path), "but its parts give")) << Refusal(path);
}

TEST_P(ExchangeTest, ARecordThatIsNoneIsRefusedWithItsLine) {
  const std::string path = Export(SampleTask(1));
  Spill(path + "/" + kSideRecord, "{\n\"format\": \"taskmint-task\",\n\"version\" 1}");
  MendHash(path);
  EXPECT_TRUE(Contains(Refusal(path), "task.json: not valid JSON (line 3)")) << Refusal(path);
  const std::vector<std::pair<std::string, json>> wrong = {
      {"no record of a task", json::array()},
      {"no record of a task", {{"format", "x"}}},
      {"newer version", {{"format", "taskmint-task"}, {"version", 2}, {"task", json::object()}}},
      {"no taskmint.v1.Task",
       {{"format", "taskmint-task"}, {"version", 1}, {"task", {{"id", 5.5}, {"x", 1}}}}},
      {"category", {{"format", "taskmint-task"}, {"version", 1}, {"task", json::object()}}}};
  for (const auto& [why, record] : wrong) {
    const std::string changed = WithRecord([&](json& whole) { whole = record; });
    EXPECT_TRUE(Contains(Refusal(changed), why)) << Refusal(changed);
  }
}

TEST_P(ExchangeTest, FieldsThatNoPipelineWritesAreRefused) {
  using Change = void (*)(v1::Task&);
  const std::vector<std::pair<const char*, Change>> changes = {
      {"work_path",
       [](v1::Task& t) { t.mutable_environment()->mutable_repository()->set_work_path("/etc"); }},
      {"mount_path",
       [](v1::Task& t) {
         t.mutable_environment()->mutable_repository()->mutable_layers(0)->set_mount_path("/usr");
       }},
      {"mount_path",
       [](v1::Task& t) {
         t.mutable_environment()->mutable_repository()->mutable_layers(0)->set_mount_path(
             "/a/../etc");
       }},
      {"limits",
       [](v1::Task& t) {
         t.mutable_environment()->mutable_repository()->mutable_limits()->set_processes_max(0);
       }},
      {"wall_ms_max",
       [](v1::Task& t) {
         t.mutable_environment()->mutable_repository()->mutable_limits()->set_wall_ms_max(int64_t{1}
                                                                                          << 60);
       }},
      {"variables",
       [](v1::Task& t) {
         (*t.mutable_environment()->mutable_repository()->mutable_variables())["A B"] = "x";
       }},
      {"variables hold 'PYTHONPATH'",
       [](v1::Task& t) {
         (*t.mutable_environment()->mutable_repository()->mutable_variables())["PYTHONPATH"] =
             "/of/the/agent";
       }},
      {"variables hold 'LD_PRELOAD'",
       [](v1::Task& t) {
         (*t.mutable_environment()->mutable_repository()->mutable_variables())["LD_PRELOAD"] = "";
       }},
      {"the variable TZ",
       [](v1::Task& t) {
         (*t.mutable_environment()->mutable_repository()->mutable_variables())["TZ"] = "a\nRUN b";
       }},
      {"mount_path",
       [](v1::Task& t) {
         t.mutable_environment()->mutable_repository()->mutable_layers(0)->set_mount_path("/tests");
       }},
      {"removed_paths",
       [](v1::Task& t) {
         t.mutable_verifier()->mutable_tests()->add_removed_paths("../../etc/passwd");
       }},
      {"graded_files",
       [](v1::Task& t) {
         t.mutable_verifier()->mutable_tests()->set_graded_files(0, "/etc/passwd");
       }},
      {"not sorted",
       [](v1::Task& t) { t.mutable_verifier()->mutable_tests()->add_pass_to_pass("a"); }},
      {"fail_to_pass",
       [](v1::Task& t) {
         t.mutable_verifier()->mutable_tests()->clear_fail_to_pass();
         t.mutable_verifier()->mutable_tests()->clear_error_to_pass();
       }},
      {"prompt.text", [](v1::Task& t) { t.mutable_prompt()->clear_text(); }},
      {"provenance.commit", [](v1::Task& t) { t.mutable_provenance()->set_commit("HEAD"); }},
      {"provenance.source", [](v1::Task& t) { t.mutable_provenance()->set_source("a\x1b[2J"); }},
      {"base.package_list_digest", [](v1::Task& t) {
         t.mutable_environment()->mutable_repository()->mutable_base()->clear_package_list_digest();
       }}};
  for (const auto& [field, change] : changes) {
    const std::string refusal = Refusal(WithTask(change));
    EXPECT_TRUE(Contains(refusal, field)) << field << ": " << refusal;
  }
}

// Parametrized tests are named by their values.
TEST_P(ExchangeTest, LongIdsOfTestsComeBack) {
  const std::string id = "tests/test_part.py::test_x[" + std::string(64 << 10, 'x') + "]";
  const std::string path =
      WithTask([&](v1::Task& t) { t.mutable_verifier()->mutable_tests()->add_pass_to_pass(id); });
  const auto imported = Import(path);
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  EXPECT_EQ(imported->task().verifier().tests().pass_to_pass(1), id);
  const std::string longer(1 << 20, 'x');
  EXPECT_TRUE(Contains(Refusal(WithTask([&](v1::Task& t) {
                         t.mutable_verifier()->mutable_tests()->add_pass_to_pass(longer);
                       })),
                       "pass_to_pass"));
}

TEST_P(ExchangeTest, LinksInTheFolderAreNeverFollowed) {
  const std::string secret = folder_.path() + "/secret";
  Spill(secret, "secret");
  const std::string path = Export(SampleTask(1));
  fs::remove(path + "/" + kSideRecord);
  fs::create_symlink(secret, path + "/" + kSideRecord);
  EXPECT_NE(Refusal(path), "");
  const std::string whole = Export(SampleTask(1));
  fs::rename(whole + "/taskmint", folder_.path() + "/elsewhere");
  fs::create_symlink(folder_.path() + "/elsewhere", whole + "/taskmint");
  EXPECT_NE(Refusal(whole), "");
  const std::string extra = Export(SampleTask(1));
  fs::create_symlink("/etc", extra + "/taskmint/etc");
  EXPECT_TRUE(Contains(Refusal(extra), "neither a file nor a folder"));
  ASSERT_EQ(mkfifo((Export(SampleTask(1)) + "/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(Contains(Refusal(folder_.path() + "/task" + std::to_string(exported_)),
                       "neither a file nor a folder"));
}

TEST_P(ExchangeTest, LogsThatDidNotComeAlongAreNoLongerNamed) {
  ExportedTask sample = SampleTask(1);
  sample.logs.clear();
  const auto imported = Import(Export(sample));
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  for (const v1::Evidence& row : imported->evidence()) EXPECT_EQ(row.log_digest(), "");
}

TEST_P(ExchangeTest, ABaseWithoutAPublicImageIsSaid) {
  ExportedTask sample = SampleTask(1);
  sample.kept.mutable_task()->mutable_environment()->mutable_repository()->mutable_base()->set_name(
      "Own Linux");
  const Status status = harbor()
                            ? HarborTask(sample, {layer_}, "taskmint").status()
                            : MakeSwebenchTask(sample, {layer_}, {"a/b", "c", OneWord}).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(Contains(status.message(), "Own Linux"));
}

TEST_P(ExchangeTest, TheNamesOfADatasetsTasksMustBeThere) {
  const std::string root = folder_.path() + "/set";
  fs::create_directories(root + "/tasks");
  fs::rename(Export(SampleTask(1)), root + "/tasks/one");
  const auto places = [&] { return FindForeignTasks(*ForeignFolder::Open(root).value()); };
  EXPECT_EQ(places().value().size(), 1U);
  const std::string digest = "\ndigest = \"sha256:" + std::string(64, 'a') + "\"\n";
  Spill(root + "/dataset.toml", "[[tasks]]\nname = \"o/one\"" + digest);
  EXPECT_TRUE(Contains(Refusal(root), "dataset.toml says"));
  Spill(root + "/dataset.toml", "[[tasks]]\nname = \"o/two\"" + digest);
  EXPECT_TRUE(Contains(places().status().message(), "names two, which is not below tasks/"));
  Spill(root + "/dataset.toml", "[[tasks]]\nname = \"o/one\"" + digest);
  fs::create_directories(root + "/tasks/one.before");
  fs::copy(root + "/tasks/one", root + "/tasks/unnamed", fs::copy_options::recursive);
  const auto found = places().value();
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].refusal, "");
  EXPECT_TRUE(Contains(found[1].refusal, "tasks/one.before: this is no task of taskmint's"));
  EXPECT_EQ(found[2].refusal, "tasks/unnamed: dataset.toml does not name it");
  Spill(root + "/dataset.toml", "[dataset]\n[[tasks]]\nname = o/two\n");
  EXPECT_TRUE(Contains(places().status().message(), "dataset.toml:3: "))
      << places().status().ToString();
}

TEST(ForeignFolderTest, WhatIsNoExportIsSaid) {
  const TemporaryFolder folder;
  EXPECT_FALSE(ForeignFolder::Open(folder.path() + "/absent").ok());
  const Status status = FindForeignTasks(*ForeignFolder::Open(folder.path()).value()).status();
  EXPECT_TRUE(Contains(status.message(), "this is no export of taskmint")) << status.ToString();
  Spill(folder.path() + "/file", "x");
  EXPECT_TRUE(Contains(ForeignFolder::Open(folder.path() + "/file").status().message(), "archive"));
}

}  // namespace
}  // namespace taskmint::datasets
