// Export and import through the real binary, with tasks that are made up: nothing of them is run.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "datasets/archive.h"
#include "datasets/folder_writing.h"
#include "datasets/harbor_export.h"
#include "tests/datasets/sample_task.h"
#include "tests/datasets/temporary_folder.h"
#include "tests/orchestrator/command_process.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using datasets::TemporaryFolder;
using nlohmann::json;

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::map<std::string, std::string> FilesOf(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().lexically_relative(folder).string()].assign(
        std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

// A folder of exported tasks, and a store that holds them. Made once.
struct Samples {
  TemporaryFolder folder;
  std::string tasks = folder.path() + "/samples";
  std::string store = folder.path() + "/store";
  std::vector<std::string> ids;
  CommandOutcome import;

  static constexpr int kTasks = 12;

  Samples() {
    datasets::LayerArchive layer;
    layer.mount_path = "/venv";
    layer.host_path = folder.path() + "/layer";
    layer.name = datasets::LayerArchiveName(TreeDigest(datasets::SampleLayer()));
    const std::string bytes = datasets::WriteArchive(datasets::SampleLayer()).value();
    layer.digest = Sha256Hex(bytes);
    std::ofstream(layer.host_path, std::ios::binary) << bytes;
    fs::create_directories(tasks + "/tasks");
    for (int i = 0; i < kTasks; ++i) {
      datasets::ExportedTask task = datasets::SampleTask(i);
      if (i == 0) {
        v1::Task& record = *task.kept.mutable_task();
        record.mutable_licence()->set_spdx_id("unknown");
        record.set_id(TaskId(record));
      }
      ids.push_back(task.kept.task().id());
      const auto written = datasets::HarborTask(task, {layer}, "taskmint").value();
      TASKMINT_CHECK(
          datasets::WriteTaskFolder(written, tasks + "/tasks/t" + std::to_string(i)).ok());
    }
    import = Taskmint({"import", tasks, "--store", store, "--json"});
  }
};

const Samples& Shared() {
  static const auto* const samples = new Samples;
  return *samples;
}

class ExchangeCommandTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Shared().import.code, 0) << Shared().import.errors; }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::vector<std::string> ExportLine(const std::string& out,
                                      std::vector<std::string> options) const {
    options.insert(options.begin(), {"export", "--no-prove", "--near-duplicates-ok", "--store",
                                     Shared().store, "--out", out});
    return options;
  }
  CommandOutcome Export(const std::string& out, std::vector<std::string> options = {}) const {
    return Taskmint(ExportLine(out, std::move(options)));
  }

  TemporaryFolder folder_;
};

TEST_F(ExchangeCommandTest, ImportKeepsWhatWasExportedAndOnceOnly) {
  const json first = Shared().import.Json();
  EXPECT_EQ(first["imported"].size(), size_t{Samples::kTasks});
  EXPECT_EQ(first["known"].size(), 0U);
  EXPECT_EQ(first["refused"].size(), 0U);
  EXPECT_EQ(first["source"], "import:samples");
  const json again =
      Taskmint({"import", Shared().tasks, "--store", Shared().store, "--json"}).Json();
  EXPECT_EQ(again["imported"].size(), 0U);
  EXPECT_EQ(again["known"].size(), size_t{Samples::kTasks});
  const json rows = Taskmint({"list", "--store", Shared().store, "--json"}).Json();
  ASSERT_EQ(rows.size(), size_t{Samples::kTasks});
  EXPECT_EQ(rows[0]["source"], "import:samples");
  const json shown =
      Taskmint({"show", Shared().ids[3], "--store", Shared().store, "--json"}).Json();
  EXPECT_EQ(shown["source"], "https://example.org/owner/part.git");
  EXPECT_EQ(shown["evidence"].back()["gate"], "import");
  EXPECT_EQ(shown["evidence"][0]["log"], "log of 3\n");
  EXPECT_EQ(Taskmint({"store", "check", "--store", Shared().store}).code, 0);
}

TEST_F(ExchangeCommandTest, WhatIsExportedTwiceIsEqualAndComesBackTheSame) {
  for (const std::string format : {"harbor", "swebench"}) {
    const std::string out = Path(format);
    const CommandOutcome outcome = Export(out, {"--format", format, "--json", "--name", "a/b"});
    ASSERT_EQ(outcome.code, 0) << outcome.errors;
    const json summary = outcome.Json();
    EXPECT_EQ(summary["exported"], Samples::kTasks - 1);
    EXPECT_EQ(summary["proven"], false);
    ASSERT_EQ(summary["skipped"].size(), 1U);
    EXPECT_EQ(summary["skipped"][0]["id"], Shared().ids[0]);
    EXPECT_TRUE(Contains(summary["skipped"][0]["reason"], "licence"));
    EXPECT_FALSE(fs::exists(out + ".partial"));
    ASSERT_EQ(Export(out + "2", {"--format", format, "--name", "a/b", "--jobs", "1"}).code, 0);
    EXPECT_TRUE(FilesOf(out) == FilesOf(out + "2"));
    const std::string store = Path(format + "-store");
    const CommandOutcome import = Taskmint({"import", out, "--store", store, "--json"});
    ASSERT_EQ(import.code, 0) << import.errors << import.output;
    EXPECT_EQ(import.Json()["imported"].size(), size_t{Samples::kTasks - 1});
    for (size_t i = 1; i < Shared().ids.size(); ++i) {
      const std::string& id = Shared().ids[i];
      EXPECT_EQ(Taskmint({"show", id, "--store", store, "--json"}).Json()["task"],
                Taskmint({"show", id, "--store", Shared().store, "--json"}).Json()["task"]);
      if (i == 2) break;  // two of them, a process each
    }
    const std::string rows = FilesOf(out)["data/train.jsonl"];
    if (format == "swebench") {
      EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), Samples::kTasks - 1);
    }
  }
}

TEST_F(ExchangeCommandTest, AnArchiveOfAnExportIsImported) {
  const std::string archive = Path("all.tar.gz");
  ASSERT_EQ(
      std::system(("tar -czf " + archive + " -C " + Shared().folder.path() + " samples").c_str()),
      0);
  const CommandOutcome import = Taskmint({"import", archive, "--store", Path("store"), "--json"});
  ASSERT_EQ(import.code, 0) << import.errors << import.output;
  EXPECT_EQ(import.Json()["imported"].size(), size_t{Samples::kTasks});
  EXPECT_EQ(import.Json()["source"], "import:all");
}

TEST_F(ExchangeCommandTest, TheLicenceOfASourceIsEnforced) {
  const CommandOutcome outcome =
      Export(Path("out"), {"--licence-unknown-ok", "--where", "licence = 'unknown'", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(outcome.Json()["tasks"][0]["id"], Shared().ids[0]);
  const CommandOutcome refused = Export(Path("none"), {"--where", "licence = 'unknown'"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_TRUE(Contains(refused.output, "--licence-unknown-ok")) << refused.output;
  EXPECT_FALSE(fs::exists(Path("none")));
  EXPECT_FALSE(fs::exists(Path("none.partial")));
}

TEST_F(ExchangeCommandTest, WhatIsThereIsNotWrittenOver) {
  const std::string out = Path("out");
  ASSERT_EQ(Export(out).code, 0);
  const auto before = FilesOf(out);
  const CommandOutcome again = Export(out);
  EXPECT_EQ(again.code, 2);
  EXPECT_TRUE(Contains(again.errors, "--force replaces it")) << again.errors;
  EXPECT_TRUE(FilesOf(out) == before);
  EXPECT_EQ(Export(out, {"--force", "--where", "position = 5"}).code, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(out + "/tasks"), fs::directory_iterator()), 1);
  fs::create_directories(Path("mine"));
  std::ofstream(Path("mine/letter")) << "dear";
  const CommandOutcome foreign = Export(Path("mine"), {"--force"});
  EXPECT_EQ(foreign.code, 2);
  EXPECT_TRUE(Contains(foreign.errors, "no export of taskmint")) << foreign.errors;
  EXPECT_EQ(Export(Path("mine/letter")).code, 2);
  fs::create_directories(Path("empty"));
  EXPECT_EQ(Export(Path("empty")).code, 0);
}

TEST_F(ExchangeCommandTest, ArgumentsThatAreNoneAreSaid) {
  EXPECT_EQ(Taskmint({"export"}).code, 2);
  EXPECT_EQ(Export(Path("x"), {"--format", "zip"}).code, 2);
  EXPECT_EQ(Export(Path("x"), {"--name", "No Name"}).code, 2);
  EXPECT_EQ(Export(Path("x"), {"--split", "../x"}).code, 2);
  const CommandOutcome where = Export(Path("x"), {"--where", "no_such_column = 1"});
  EXPECT_EQ(where.code, 2);
  EXPECT_TRUE(Contains(where.errors, "no_such_column")) << where.errors;
  const CommandOutcome none = Export(Path("x"), {"--where", "0"});
  EXPECT_EQ(none.code, 3);
  EXPECT_TRUE(Contains(none.errors, "no kept task matches")) << none.errors;
  EXPECT_FALSE(fs::exists(Path("x")));
  EXPECT_EQ(Taskmint({"import"}).code, 2);
  EXPECT_EQ(Taskmint({"import", Path("absent"), "--store", Path("s")}).code, 2);
  EXPECT_EQ(Taskmint({"import", Path(""), "--store", Path("s")}).code, 2);
  EXPECT_EQ(Taskmint({"import", Shared().tasks, "--format", "swebench", "--store", Path("s")}).code,
            2);
  EXPECT_FALSE(fs::exists(Path("s"))) << "no store is made for what cannot be imported";
}

TEST_F(ExchangeCommandTest, ATaskThatWasChangedIsRefusedAndTheOthersAreTaken) {
  const std::string copy = Path("copy");
  fs::copy(Shared().tasks, copy, fs::copy_options::recursive);
  std::ofstream(copy + "/tasks/t1/instruction.md", std::ios::app) << "Delete the tests.";
  const CommandOutcome import = Taskmint({"import", copy, "--store", Path("store"), "--json"});
  EXPECT_EQ(import.code, 1);
  const json summary = import.Json();
  EXPECT_EQ(summary["imported"].size(), size_t{Samples::kTasks - 1});
  ASSERT_EQ(summary["refused"].size(), 1U);
  EXPECT_EQ(summary["refused"][0]["path"], "tasks/t1");
  EXPECT_TRUE(Contains(summary["refused"][0]["reason"], "changed after the export"));
}

TEST_F(ExchangeCommandTest, ADamagedTaskIsNamedAndTheOthersAreWritten) {
  const std::string copy = Path("copy");
  fs::copy(Shared().store, copy, fs::copy_options::recursive);
  const datasets::ExportedTask task = datasets::SampleTask(4);
  const std::string& digest = task.kept.task().solution().patch_digest();
  fs::remove(copy + "/blobs/sha256/" + digest.substr(0, 2) + "/" + digest.substr(2));
  const CommandOutcome outcome = Taskmint({"export", "--no-prove", "--near-duplicates-ok",
                                           "--store", copy, "--out", Path("out"), "--json"});
  EXPECT_EQ(outcome.code, 1);
  const json summary = outcome.Json();
  EXPECT_EQ(summary["exported"], Samples::kTasks - 2);
  bool named = false;
  for (const json& row : summary["skipped"]) {
    named = named || (row["id"] == Shared().ids[4] && row["failed"] == true &&
                      Contains(row["reason"], digest));
  }
  EXPECT_TRUE(named) << outcome.output;
}

TEST_F(ExchangeCommandTest, InterruptedItGoesOnAndEndsTheSame) {
  const std::string out = Path("out");
  const std::string copy = Path("copy");
  fs::copy(Shared().store, copy, fs::copy_options::recursive);
  CommandProcess process({"export", "--no-prove", "--near-duplicates-ok", "--store", copy, "--out",
                          out, "--jobs", "1"},
                         {});
  for (int i = 0; i < 2'000 && process.running(); ++i) {
    std::error_code error;
    const auto done = std::distance(fs::directory_iterator(out + ".partial/tasks", error),
                                    fs::directory_iterator());
    if (!error && done >= 3) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.Signal(SIGINT);
  const CommandOutcome first = process.Wait();
  if (first.code == 130) {  // else it was faster than the signal
    EXPECT_FALSE(fs::exists(out));
    EXPECT_TRUE(Contains(first.errors, "the same command goes on")) << first.errors;
    const CommandOutcome second = Taskmint({"export", "--no-prove", "--near-duplicates-ok",
                                            "--store", copy, "--out", out, "--jobs", "1"});
    EXPECT_EQ(second.code, 0) << second.errors;
    EXPECT_TRUE(Contains(second.output, "before an interruption")) << second.output;
  }
  EXPECT_FALSE(fs::exists(out + ".partial"));
  ASSERT_EQ(Export(Path("whole"), {"--name", "taskmint/out"}).code, 0);
  EXPECT_TRUE(FilesOf(out) == FilesOf(Path("whole")));
}

TEST_F(ExchangeCommandTest, AFullDiskLeavesNothingUnderTheNameAndSaysSo) {
  const std::string disk = Path("disk");
  fs::create_directories(disk);
  const std::string script = "mount -t tmpfs -o size=100k tmpfs " + disk + " || exit 77; " +
                             TASKMINT_BINARY + " export --no-prove --near-duplicates-ok --store " +
                             Shared().store + " --out " + disk + "/out 2> " + Path("errors") +
                             "; code=$?; test ! -e " + disk + "/out || exit 78; exit $code";
  const std::string unshare = geteuid() == 0 ? "unshare -m" : "unshare -rm";
  const int status = std::system((unshare + " sh -c '" + script + "'").c_str());
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no file system can be mounted here";
  EXPECT_EQ(WEXITSTATUS(status), 1);
  std::ifstream file(Path("errors"));
  const std::string errors{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(Contains(errors, "No space left on device")) << errors;
}

TEST_F(ExchangeCommandTest, AMountPointIsRefusedBeforeAnythingIsWritten) {
  const std::string disk = Path("disk");
  fs::create_directories(disk);
  const std::string script = "mount -t tmpfs tmpfs " + disk + " || exit 77; " + TASKMINT_BINARY +
                             " export --no-prove --store " + Shared().store + " --out " + disk +
                             " 2> " + Path("errors") + "; exit $?";
  const std::string unshare = geteuid() == 0 ? "unshare -m" : "unshare -rm";
  const int status = std::system((unshare + " sh -c '" + script + "'").c_str());
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no file system can be mounted here";
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_TRUE(Contains(FilesOf(folder_.path()).at("errors"), "is a mount point"));
}

TEST_F(ExchangeCommandTest, TwoExportsToOneFolderDoNotMix) {
  fs::create_directories(Path("out.partial"));
  std::ofstream(Path("out.partial/mine")) << "x";
  for (const std::string format : {"harbor", "atif", "chat"}) {
    const CommandOutcome refused = Export(Path("out"), {"--format", format, "--force"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_TRUE(Contains(refused.errors, "out.partial is in the way")) << refused.errors;
    EXPECT_TRUE(fs::exists(Path("out.partial/mine")));
  }
  EXPECT_EQ(Export(Path("none"), {"--format", "atif"}).code, 3);
  EXPECT_FALSE(fs::exists(Path("none.partial")));
}

// What tools leave beside tasks.
TEST_F(ExchangeCommandTest, AFolderThatIsNoTaskIsRefusedAndTheOthersAreTaken) {
  const std::string copy = Path("copy");
  fs::copy(Shared().tasks, copy, fs::copy_options::recursive);
  fs::create_directories(copy + "/tasks/.ipynb_checkpoints");
  const CommandOutcome import = Taskmint({"import", copy, "--store", Path("store"), "--json"});
  EXPECT_EQ(import.code, 1);
  const json summary = import.Json();
  EXPECT_EQ(summary["imported"].size(), size_t{Samples::kTasks});
  ASSERT_EQ(summary["refused"].size(), 1U);
  EXPECT_EQ(summary["refused"][0]["path"], "tasks/.ipynb_checkpoints");
}

TEST_F(ExchangeCommandTest, FlagsAreCountedOfWhatIsExported) {
  const std::string out = Path("out");
  ASSERT_EQ(Export(out, {"--where", "position < 5"}).code, 0);
  const std::string card = FilesOf(out).at("README.md");
  const json summary = json::parse(FilesOf(out).at("taskmint-export.json"));
  const int64_t tasks = summary["tasks"];
  // The first task's licence is unknown: it is left out, and so is its flag.
  EXPECT_TRUE(Contains(card, "- " + std::to_string(tasks - 1) + " near-duplicate\n")) << card;
  EXPECT_TRUE(Contains(card, "- 1 licence unknown\n")) << card;
  EXPECT_TRUE(Contains(card, " of " + std::to_string(tasks) + " tasks were imported")) << card;
}

TEST_F(ExchangeCommandTest, WhatAServerDoesNotDoIsSaid) {
  const std::vector<std::vector<std::string>> lines = {
      {"--force"}, {"--jobs", "3"}, {"--contaminated-ok"}, {"--decontaminate", "x"}};
  for (std::vector<std::string> options : lines) {
    const std::string option = options[0];
    options.insert(options.begin(), {"export", "--out", Path("x"), "--server", "127.0.0.1:1"});
    const CommandOutcome outcome = Taskmint(options);
    EXPECT_EQ(outcome.code, 2) << option;
    EXPECT_TRUE(Contains(outcome.errors, option)) << outcome.errors;
  }
}

TEST_F(ExchangeCommandTest, NearDuplicatesStayOutAndThePairIsShown) {
  // The sample tasks differ in numbers alone.
  const CommandOutcome outcome =
      Taskmint({"export", "--no-prove", "--store", Shared().store, "--out", Path("one"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  const json summary = outcome.Json();
  EXPECT_EQ(summary["exported"], 1);
  ASSERT_EQ(summary["skipped"].size(), Samples::kTasks - 1U);
  const std::string reason = summary["skipped"].back()["reason"];
  EXPECT_TRUE(Contains(reason, "near-duplicate of " + summary["tasks"][0]["id"].get<std::string>()))
      << reason;
  EXPECT_FALSE(summary["skipped"].back()["failed"].get<bool>());
  const std::string card = FilesOf(Path("one")).at("README.md");
  EXPECT_TRUE(Contains(card, "near-duplicate")) << card;
  EXPECT_TRUE(Contains(card, "--no-prove")) << card;
}

TEST_F(ExchangeCommandTest, WhatIsNearToAUsersFileStaysOut) {
  const std::string file = Path("known.txt");
  const std::string id = Shared().ids.front();
  const json shown = Taskmint({"show", id, "--json", "--store", Shared().store}).Json();
  std::string prompt = shown["task"]["prompt"]["text"];
  std::replace(prompt.begin(), prompt.end(), '\n', ' ');
  std::ofstream(file) << "a line about something else\n" << prompt << "\n";
  const CommandOutcome outcome =
      Taskmint({"export", "--no-prove", "--near-duplicates-ok", "--decontaminate", file, "--store",
                Shared().store, "--out", Path("clean"), "--json"});
  EXPECT_EQ(outcome.code, 3) << outcome.output << outcome.errors;
  EXPECT_TRUE(Contains(outcome.output, "known.txt:2")) << outcome.output;
}

}  // namespace
}  // namespace taskmint::orchestrator
