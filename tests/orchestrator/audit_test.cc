// What is flagged of kept tasks, and what the command says of it.
#include "orchestrator/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/datasets/store_fixture.h"
#include "tests/orchestrator/command_process.h"

namespace taskmint::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = AuditFlag::Kind;

constexpr char kPrompt[] =
    "The parser drops the last line of a file that does not end with a line break.\nSee issue 12.";
constexpr char kPatch[] =
    "diff --git a/parser.py b/parser.py\nindex 3fa94c1..77ab012 100644\n--- a/parser.py\n"
    "+++ b/parser.py\n@@ -10,6 +10,7 @@ def parse(text):\n     for line in text.split():\n"
    "         yield line\n+    if rest:\n+        yield rest\n";
constexpr char kOtherPrompt[] = "Names with a dot in them are cut at the dot; keep them whole.";
constexpr char kOtherPatch[] =
    "diff --git a/names.py b/names.py\n--- a/names.py\n+++ b/names.py\n"
    "@@ -1,3 +1,3 @@\n def stem(name):\n-    return name.split('.')[0]\n+    return name\n";

class AuditTest : public datasets::StoreTest {
 protected:
  void SetUp() override {
    store_ = Open();
    ASSERT_TRUE(datasets::CreateSampleRun(*store_, "run", 8).ok());
  }
  // Keeps a task and returns its id.
  std::string Keep(const std::string& name, const std::string& prompt, const std::string& patch,
                   const std::string& licence = "MIT") {
    v1::Candidate candidate = Kept("run", next_++, name);
    candidate.mutable_task()->mutable_prompt()->set_text(prompt);
    candidate.mutable_task()->mutable_licence()->set_spdx_id(licence);
    candidate.mutable_task()->mutable_licence()->set_path(licence == "unknown" ? "" : "LICENSE");
    candidate.mutable_task()->mutable_solution()->set_patch_digest(*store_->blobs().Put(patch));
    Finish(*store_, candidate);
    return candidate.task().id();
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::string path = folder_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  AuditReport Report(const std::vector<std::string>& files = {}) {
    auto report = AuditTasks(*store_, *store_->KeptTaskIds(""), files, {});
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? *std::move(report) : AuditReport();
  }
  CommandOutcome Audit(std::vector<std::string> options) {
    options.insert(options.begin(), {"audit", "--store", path_});
    return Taskmint(options);
  }

  std::unique_ptr<datasets::Store> store_;
  int64_t next_ = 0;
};

std::string Row(const std::string& id, const std::string& text, const std::string& patch) {
  return nlohmann::json({{"instance_id", id}, {"problem_statement", text}, {"patch", patch}})
             .dump() +
         "\n";
}

TEST_F(AuditTest, TheLaterOfTwoNearDuplicatesIsFlaggedWithTheFirst) {
  const std::string first = Keep("a", kPrompt, kPatch);
  Keep("b", kOtherPrompt, kOtherPatch);
  std::string patch = kPatch;
  patch.replace(patch.find("-10,6 +10,7"), 11, "-99,6 +99,7");
  const std::string later = Keep("c", std::string(kPrompt) + " And 13.", patch);
  const AuditReport report = Report();
  EXPECT_EQ(report.tasks, 3);
  ASSERT_THAT(report.flags, SizeIs(1));
  const AuditFlag& flag = report.flags[0];
  EXPECT_EQ(flag.kind, Kind::kNearDuplicate);
  EXPECT_EQ(flag.task_id, later);
  EXPECT_EQ(flag.other, first);
  EXPECT_EQ(flag.part, "prompt and patch");
  EXPECT_GE(flag.similarity, 0.8);
  EXPECT_LT(flag.similarity, 1);
  EXPECT_THAT(flag.words, HasSubstr("The parser drops the last line of a file that does not end"));
  EXPECT_EQ(flag.words.find('\n'), std::string::npos);
  EXPECT_THAT(flag.other_words, HasSubstr("The parser drops"));
  EXPECT_THAT(report.Flagged(Kind::kNearDuplicate), ElementsAre(later));
  EXPECT_EQ(report.FlaggedTasks(), 1);
}

TEST_F(AuditTest, TheOrderGivenSaysWhichIsTheOriginal) {
  const std::string a = Keep("a", kPrompt, kPatch);
  const std::string b = Keep("b", std::string(kPrompt) + " And 13.", kPatch);
  const auto report = AuditTasks(*store_, {b, a, b}, {}, {});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->tasks, 2);
  EXPECT_THAT(report->Flagged(Kind::kNearDuplicate), ElementsAre(a));
}

TEST_F(AuditTest, ContaminationIsFoundInPromptPatchOrBoth) {
  const std::string id = Keep("a", kPrompt, kPatch);
  Keep("b", kOtherPrompt, kOtherPatch);
  const std::string unlike = "Something else altogether, in words that nobody else has used yet.";
  const std::string one_line =
      "The PARSER drops the last line of a file that does not end with a "
      "line break. See issue 99.";
  const std::pair<std::string, std::string> kSets[] = {
      {Row("x", unlike, "+nothing\n") + Row("o__n-1", kPrompt, kPatch), "prompt and patch"},
      {Row("o__n-1", unlike, kPatch), "patch"},
      {Row("o__n-1", kPrompt, "+nothing\n"), "prompt"},
      {Row("o__n-1", kPrompt, ""), "prompt"},
      {unlike + "\n" + one_line + "\n", "prompt"}};
  for (const auto& [text, part] : kSets) {
    const std::string file = Write("held.out", text);
    const AuditReport report = Report({Write("nothing", unlike), file});
    ASSERT_THAT(report.flags, SizeIs(1)) << text;
    const AuditFlag& flag = report.flags[0];
    EXPECT_EQ(flag.kind, Kind::kContaminated);
    EXPECT_EQ(flag.task_id, id);
    EXPECT_EQ(flag.other, file + (text[0] == '{' ? ":o__n-1" : ":2"));
    EXPECT_EQ(flag.part, part);
    EXPECT_GE(flag.similarity, 0.8);
  }
}

TEST_F(AuditTest, ATextLineOfPromptAndPatchContaminates) {
  const std::string id = Keep("a", "Fix names.", kOtherPatch);
  std::string line = std::string("Fix names. ") + kOtherPatch;
  std::replace(line.begin(), line.end(), '\n', ' ');
  const AuditReport report = Report({Write("held.out", line)});
  EXPECT_THAT(report.Flagged(Kind::kContaminated), ElementsAre(id));
}

TEST_F(AuditTest, LicencesAreCountedAndUnknownOnesFlagged) {
  Keep("a", kPrompt, kPatch);
  const std::string unknown = Keep("b", kOtherPrompt, kOtherPatch, "unknown");
  const AuditReport report = Report({Write("held.out", kOtherPrompt)});
  EXPECT_EQ(report.licences, (std::map<std::string, int64_t>{{"MIT", 1}, {"unknown", 1}}));
  ASSERT_THAT(report.flags, SizeIs(2));
  EXPECT_EQ(report.flags[0].kind, Kind::kContaminated);
  EXPECT_EQ(report.flags[1].kind, Kind::kLicenceUnknown);
  EXPECT_EQ(report.flags[1].task_id, unknown);
  EXPECT_EQ(report.FlaggedTasks(), 1);
}

TEST_F(AuditTest, WhatCannotBeReadIsAnError) {
  const std::string id = Keep("a", kPrompt, kPatch);
  const auto status = [&](const std::vector<std::string>& ids,
                          const std::vector<std::string>& files, std::stop_token stop = {}) {
    return AuditTasks(*store_, ids, files, std::move(stop)).status();
  };
  EXPECT_EQ(status({datasets::IdOf("absent")}, {}).code(), Code::kNotFound);
  EXPECT_EQ(status({id}, {folder_.path() + "/absent"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(status({id}, {Write("bad", "{\"instance_id\": 1}")}).code(), Code::kInvalidArgument);
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(status({id}, {}, source.get_token()).code(), Code::kCancelled);
  v1::Candidate lost = Kept("run", next_++, "lost");
  Finish(*store_, lost);
  const Status missing = status({lost.task().id()}, {});
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("the patch of task " + lost.task().id()));
}

TEST_F(AuditTest, TheCommandExitsWithOneWhereSomethingIsFlagged) {
  EXPECT_EQ(Audit({}).code, 3);
  const std::string id = Keep("a", kPrompt, kPatch);
  const CommandOutcome clean = Audit({});
  EXPECT_EQ(clean.code, 0) << clean.errors;
  EXPECT_THAT(clean.output, HasSubstr("1 task, 0 flagged"));
  EXPECT_THAT(clean.output, HasSubstr("MIT"));

  const std::string file = Write("held.out", Row("o__n-1", kPrompt, kPatch));
  const CommandOutcome flagged = Audit({"--decontaminate", file});
  EXPECT_EQ(flagged.code, 1) << flagged.errors;
  EXPECT_THAT(flagged.output, HasSubstr(id.substr(0, 12)));
  EXPECT_THAT(flagged.output, HasSubstr(file + ":o__n-1"));
  EXPECT_THAT(flagged.output, HasSubstr("1.0000"));
  EXPECT_EQ(flagged.errors, "");

  const CommandOutcome json = Audit({"--decontaminate", file, "--json"});
  EXPECT_EQ(json.code, 1);
  const auto report = json.Json();
  EXPECT_EQ(report["tasks"], 1);
  EXPECT_EQ(report["flagged"], 1);
  EXPECT_EQ(report["counts"]["contaminated"], 1);
  EXPECT_EQ(report["counts"]["near-duplicate"], 0);
  EXPECT_EQ(report["licences"]["MIT"], 1);
  ASSERT_EQ(report["flags"].size(), 1U);
  EXPECT_EQ(report["flags"][0]["id"], id);
  EXPECT_EQ(report["flags"][0]["other"], file + ":o__n-1");
  EXPECT_EQ(report["flags"][0]["similarity"], 1.0);
}

TEST_F(AuditTest, TheCommandRefusesWhatItCannotUse) {
  Keep("a", kPrompt, kPatch);
  EXPECT_EQ(Audit({"--where", "nonsense ="}).code, 2);
  EXPECT_EQ(Audit({"--decontaminate", folder_.path()}).code, 2);
  EXPECT_EQ(Audit({"--decontaminate", "/dev/zero"}).code, 2);
  const CommandOutcome bad = Audit({"--decontaminate", Write("bad.jsonl", "{\"id\": 1}\n")});
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.errors, HasSubstr("bad.jsonl:1: neither problem_statement nor patch"));
  EXPECT_EQ(bad.output, "");
  EXPECT_EQ(Audit({"--where", "licence = 'ISC'"}).code, 3);
}

TEST_F(AuditTest, ShowAndStatsSayTheLicence) {
  const std::string id = Keep("a", kPrompt, kPatch, "Apache-2.0");
  Keep("b", kOtherPrompt, kOtherPatch, "unknown");
  EXPECT_THAT(Taskmint({"show", id, "--store", path_}).output,
              HasSubstr("licence Apache-2.0 (LICENSE)\n"));
  EXPECT_THAT(Taskmint({"stats", "--store", path_}).output, HasSubstr("Apache-2.0"));
  const auto stats = Taskmint({"stats", "--store", path_, "--json"}).Json();
  EXPECT_EQ(stats["licences"]["Apache-2.0"], 1);
  EXPECT_EQ(stats["licences"]["unknown"], 1);
  std::set<std::string> keys;
  const auto list = Taskmint({"list", "--store", path_, "--json"}).Json();
  for (const auto& [key, value] : list[0].items()) keys.insert(key);
  EXPECT_THAT(keys,
              ElementsAre("category", "commit", "id", "kept", "language", "reason", "source"));
}

}  // namespace
}  // namespace taskmint::orchestrator
