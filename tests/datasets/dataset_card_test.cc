// The card's front matter means the same to YAML whatever a repository is called.
#include "datasets/dataset_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace taskmint::datasets {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

v1::Candidate TaskOf(const std::string& source, const std::string& licence) {
  v1::Candidate kept;
  v1::Task& task = *kept.mutable_task();
  task.set_language("python");
  task.mutable_licence()->set_spdx_id(licence);
  task.mutable_provenance()->set_source(source);
  task.mutable_provenance()->set_pipeline("taskmint 0.1.0");
  v1::Base& base = *task.mutable_environment()->mutable_repository()->mutable_base();
  base.set_name("Debian GNU/Linux 12 (bookworm)");
  base.set_package_list_digest(std::string(64, 'a'));
  return kept;
}

DatasetCard CardOf(const std::vector<std::string>& licences) {
  DatasetCard card;
  card.name = "Code tasks";
  card.format = "swebench";
  for (const std::string& licence : licences) card.Count(TaskOf("https://example.org/a", licence));
  return card;
}

// Between the two lines of dashes.
std::string FrontMatterOf(const std::string& text) {
  EXPECT_THAT(text, StartsWith("---\n"));
  return text.substr(4, text.find("\n---\n") - 3);
}

TEST(DatasetCardTest, OneLicenceIsInTheHubsSpelling) {
  for (const auto& [spdx_id, hub] :
       {std::pair{"MIT", "mit"}, std::pair{"Apache-2.0", "apache-2.0"},
        std::pair{"GPL-3.0-or-later", "gpl-3.0"}, std::pair{"LGPL-2.1-only", "lgpl-2.1"}}) {
    const std::string text = FrontMatterOf(WriteDatasetCard(CardOf({spdx_id, spdx_id})));
    EXPECT_THAT(text, StartsWith("license: \"" + std::string(hub) + "\"\n"));
    EXPECT_THAT(text, Not(HasSubstr("license_name")));
  }
}

TEST(DatasetCardTest, MixedUnknownAndUncommonLicencesAreOtherWithTheirNames) {
  const std::string mixed = FrontMatterOf(WriteDatasetCard(CardOf({"MIT", "ISC", "MIT"})));
  EXPECT_THAT(mixed, StartsWith("license: \"other\"\nlicense_name: \"mixed\"\nlicense_details: "
                                "\"each row is under the licence of its source: ISC (1), MIT "
                                "(2)\"\n"));
  EXPECT_THAT(WriteDatasetCard(CardOf({"0BSD"})), HasSubstr("license_name: \"0bsd\"\n"));
  EXPECT_THAT(WriteDatasetCard(CardOf({""})), HasSubstr("license_name: \"unknown\"\n"));
  EXPECT_THAT(WriteDatasetCard(CardOf({})), HasSubstr("license_name: \"unknown\"\n"));
}

TEST(DatasetCardTest, HostileNamesStayInTheirPlace) {
  const std::string hostile =
      "x\"\n---\nlicense: mit\n# h `<script>` | [a](b) \x1B[31m \xFF \xE2\x80\xA8 \xEF\xBF\xBE \\";
  DatasetCard card = CardOf({});
  card.name = hostile;
  card.Count(TaskOf(hostile, hostile));
  card.data_files = {{hostile, hostile}};
  card.left_out = {{hostile, 1}};
  const std::string text = WriteDatasetCard(card);
  const std::string front = FrontMatterOf(text);
  const std::string quoted =
      "\"x\\\" --- license: mit # h `<script>` | [a](b) \\\\x1b[31m \xEF\xBF\xBD   \xEF\xBF\xBD "
      "\\\\\"";
  EXPECT_THAT(front, HasSubstr("\npretty_name: " + quoted + "\n"));
  EXPECT_THAT(front, HasSubstr("  - split: " + quoted + "\n    path: " + quoted + "\n"));
  EXPECT_THAT(front, StartsWith("license: \"other\"\n"));
  const std::string body = text.substr(front.size());
  EXPECT_THAT(body, HasSubstr("| x\" --- license: mit \\# h \\`\\<script\\>\\` \\| \\[a\\](b) "));
  EXPECT_THAT(body, Not(HasSubstr("<script>")));
  EXPECT_THAT(text, Not(HasSubstr("\x1B")));
}

TEST(DatasetCardTest, ItSaysWhatIsInItAndWhetherItWasProven) {
  DatasetCard card = CardOf({"MIT", "MIT"});
  card.usage = "Run `it`.";
  card.data_files = {{"test", "data/test-*.jsonl"}};
  card.left_out = {{"near-duplicate", 2}};
  const std::string text = WriteDatasetCard(card);
  for (const char* part :
       {"size_categories:\n- \"n<1K\"\n", "pretty_name: \"Code tasks\"\n", "language:\n- \"en\"\n",
        "annotations_creators:\n- \"machine-generated\"\n", "- \"swebench\"\n- \"python\"\n",
        "configs:\n- config_name: \"default\"\n  data_files:\n  - split: \"test\"\n    path: "
        "\"data/test-*.jsonl\"\n---\n",
        "\n# Code tasks\n\n2 tasks ", "**Not proven as exported** (`--no-prove`)",
        "| licence (SPDX) | tasks |", "| MIT | 2 |", "| https://example.org/a | 2 |",
        "| Debian GNU/Linux 12 (bookworm) aaaaaaaaaaaa | 2 |", "| taskmint 0.1.0 | 2 |",
        "Run `it`.", "## Left out\n\n- 2 near-duplicate\n"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  card.proven = true;
  EXPECT_THAT(WriteDatasetCard(card), Not(HasSubstr("no-prove")));
  card.row = "trajectory";
  EXPECT_THAT(WriteDatasetCard(card), HasSubstr("2 trajectories of agents"));
  card.rows = 20'000;
  EXPECT_THAT(WriteDatasetCard(card), HasSubstr("\"10K<n<100K\""));
}

TEST(DatasetCardTest, WhatWasMeasuredElsewhereIsCountedApart) {
  DatasetCard card = CardOf({"MIT"});
  EXPECT_THAT(WriteDatasetCard(card), HasSubstr("Every task went through one gate"));
  v1::Candidate imported = TaskOf("https://example.org/a", "MIT");
  imported.add_evidence()->set_gate("import");
  card.Count(imported);
  EXPECT_THAT(WriteDatasetCard(card), HasSubstr("1 of 2 tasks were imported from other exports"));
  EXPECT_THAT(WriteDatasetCard(card), HasSubstr("Every other task went through one gate"));
  card = CardOf({});
  card.Count(imported);
  EXPECT_THAT(WriteDatasetCard(card), Not(HasSubstr("went through one gate")));
}

}  // namespace
}  // namespace taskmint::datasets
