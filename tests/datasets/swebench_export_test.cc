#include "datasets/swebench_export.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "proto/base/json.h"
#include "tests/datasets/sample_task.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;

std::string Underscored(std::string_view id) {
  std::string word(id);
  for (char& c : word) c = c == ' ' ? '_' : c;
  return word;
}

SwebenchTask Made(const ExportedTask& task) {
  return MakeSwebenchTask(task, {}, {"taskmint/set", "train", Underscored}).value();
}

std::string FileOf(const SwebenchTask& task, const std::string& path) {
  const FileEntry* entry = task.folder.files.Find(path);
  EXPECT_NE(entry, nullptr) << path;
  return entry == nullptr ? "" : *entry->content;
}

TEST(SwebenchExportTest, ARowHasEveryKeyAndListsAsStrings) {
  const ExportedTask task = SampleTask(1);
  const json row = ParseJson(Made(task).row).value();
  std::set<std::string> keys;
  for (const auto& [key, value] : row.items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"repo", "instance_id", "base_commit", "patch",
                                         "test_patch", "problem_statement", "hints_text",
                                         "created_at", "version", "FAIL_TO_PASS", "PASS_TO_PASS",
                                         "environment_setup_commit", "image", "eval_script",
                                         "log_parser", "eval_type", "split", "datasets"}));
  const std::string id = "owner__part-" + task.kept.task().id().substr(0, 12);
  EXPECT_EQ(row["instance_id"], id);
  EXPECT_EQ(row["repo"], "owner/part");
  EXPECT_EQ(row["image"],
            "swebench/sweb.eval.x86_64.owner_1776_" + id.substr(id.find("part")) + ":latest");
  EXPECT_EQ(row["created_at"], "2023-11-14T22:13:21Z");
  EXPECT_EQ(row["base_commit"], task.kept.task().provenance().parent_commit());
  EXPECT_EQ(ParseJson(row["FAIL_TO_PASS"].get<std::string>()).value(),
            json({"tests/test_part.py::test_a[one_two]", "tests/test_part.py::test_b"}));
  EXPECT_EQ(ParseJson(row["PASS_TO_PASS"].get<std::string>()).value(),
            json::array({"tests/test_part.py::test_c"}));
  EXPECT_EQ(row["patch"], task.gold_patch);
}

// Python's str.splitlines, by which SWE-bench reads rows, ends lines at more than "\n".
TEST(SwebenchExportTest, ARowIsOneLineWhateverIsInIt) {
  ExportedTask task = SampleTask(1);
  task.gold_patch +=
      "+a\xc2\x85"
      "b\xe2\x80\xa8"
      "c\xe2\x80\xa9"
      "d\x0b\x0c\x1c\x1d\x1e\r\x7f\xf0\x9f\x98\x80\n";
  const std::string row = Made(task).row;
  for (const char c : row.substr(0, row.size() - 1)) ASSERT_TRUE(c >= ' ' && c < 0x7f) << row;
  EXPECT_EQ(row.back(), '\n');
  EXPECT_EQ(ParseJson(row).value()["patch"], task.gold_patch);
}

TEST(SwebenchExportTest, TheFolderSaysTheSame) {
  const SwebenchTask task = Made(SampleTask(1));
  const json row = ParseJson(task.row).value();
  EXPECT_EQ(row["eval_script"], FileOf(task, "eval.sh"));
  EXPECT_EQ(row["patch"], FileOf(task, "gold.patch"));
  EXPECT_EQ(row["test_patch"], FileOf(task, "test.patch"));
  EXPECT_EQ(row["problem_statement"], FileOf(task, "problem_statement.md"));
  // Each line is a key and a JSON value.
  std::istringstream lines(FileOf(task, "task.yaml"));
  int keys = 0;
  for (std::string line; std::getline(lines, line); ++keys) {
    const size_t colon = line.find(": ");
    ASSERT_NE(colon, std::string::npos) << line;
    EXPECT_EQ(ParseJson(line.substr(colon + 2)).value(), row[line.substr(0, colon)]) << line;
  }
  EXPECT_EQ(keys, 11);
}

// The script itself, with a grader that prints and fails.
TEST(SwebenchExportTest, TheScriptPrintsBetweenTheMarkersAndTheGradersExitCode) {
  const TemporaryFolder folder;
  ExportedTask task = SampleTask(1);
  task.kept.mutable_task()->mutable_environment()->mutable_repository()->set_work_path(
      folder.path());
  SetFile(task.grader, "grade.py",
          RegularFile("import os, sys\nprint('FAILED tests/a.py::b', os.path.exists(sys.argv[2] + "
                      "'/.git'), os.path.exists(os.path.dirname(__file__) + '/data'))\n"
                      "sys.exit(1)\n"));
  SetFile(task.grader, "data", RegularFile(std::string(5'000, 'x')));
  std::string script = FileOf(Made(task), "eval.sh");
  // As SWE-bench changes it before it runs.
  const size_t end = script.find("echo '>>>>> End Test Output'");
  ASSERT_NE(end, std::string::npos);
  script.insert(end, "KEPT=$?\n");
  script += "echo \"kept $KEPT\"\n";
  std::ofstream(folder.path() + "/eval.sh") << script;
  std::filesystem::create_directories(folder.path() + "/.git");
  const std::string out = folder.path() + "/out";
  ASSERT_EQ(std::system(("bash " + folder.path() + "/eval.sh > " + out + " 2>&1").c_str()), 0);
  std::ifstream file(out);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text.substr(text.find(">>>>>")),
            ">>>>> Start Test Output\nFAILED tests/a.py::b False True\n>>>>> End Test Output\n"
            ">>>>> Test Exit Code: 1\nkept 1\n");
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/.git"));
}

// What an image, or an agent in it, sets for every program must not reach the grader.
TEST(SwebenchExportTest, TheGradersInterpreterSeesNothingOfTheEnvironment) {
  const TemporaryFolder folder;
  ExportedTask task = SampleTask(1);
  task.kept.mutable_task()->mutable_environment()->mutable_repository()->set_work_path(
      folder.path());
  SetFile(
      task.grader, "grade.py",
      RegularFile("import argparse, os, sys\nprint('seen', argparse.__file__.startswith('/usr'), "
                  "sys.flags.isolated, *sorted(os.environ))\n"));
  std::ofstream(folder.path() + "/eval.sh") << FileOf(Made(task), "eval.sh");
  std::ofstream(folder.path() + "/argparse.py") << "print('hooked')\n";
  const std::string out = folder.path() + "/out";
  ASSERT_EQ(std::system(("cd " + folder.path() + " && TASKMINT_WALL_MS_MAX='1 2' PYTHONPATH=" +
                         folder.path() + " PYTHONSTARTUP=x bash eval.sh > " + out + " 2>&1")
                            .c_str()),
            0);
  std::ifstream file(out);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(text.find("\nseen True 1 LANG PATH TASKMINT_WALL_MS_MAX TZ\n"), std::string::npos)
      << text;
}

TEST(SwebenchExportTest, WhatIsNoUtf8CannotBeARow) {
  ExportedTask task = SampleTask(1);
  task.gold_patch += "\xff";
  const Status status = MakeSwebenchTask(task, {}, {"taskmint/set", "train", Underscored}).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
}

TEST(SwebenchExportTest, TheConfigurationNamesDatasetAndSplit) {
  EXPECT_EQ(SwebenchConfig({"taskmint/set", "train", Underscored}),
            "datasets: [\"taskmint/set\"]\nsplits: [\"train\"]\n");
}

}  // namespace
}  // namespace taskmint::datasets
