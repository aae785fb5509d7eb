// A user's file as a set to stay away from, whatever it holds.
#include "datasets/decontamination_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace taskmint::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Status Read(std::string_view bytes, std::vector<std::string>* found = nullptr) {
  return ReadDecontaminationSet(bytes, "held.out", [&](const DecontaminationDocument& document) {
    if (found != nullptr) {
      found->push_back(document.id + "|" + document.text + "|" + document.patch);
    }
    return true;
  });
}

std::vector<std::string> Documents(std::string_view bytes) {
  std::vector<std::string> found;
  const Status status = Read(bytes, &found);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return found;
}

TEST(DecontaminationSetTest, SweBenchRowsAreReadInBothForms) {
  EXPECT_THAT(
      Documents(R"({"repo": "o/n", "instance_id": "o__n-1", "problem_statement": "It breaks.",)"
                R"( "patch": "--- a\n+++ b\n", "FAIL_TO_PASS": "[\"t::a\"]", "hints_text": null})"
                "\n\n"
                R"({"instance_id": "o__n-2", "problem_statement": "Too.", "patch": "x",)"
                R"( "FAIL_TO_PASS": ["t::a"], "split": "test"})"
                "\n"),
      ElementsAre("o__n-1|It breaks.|--- a\n+++ b\n", "o__n-2|Too.|x"));
}

TEST(DecontaminationSetTest, WhatARowLacksIsEmptyAndItsLineNumberTheId) {
  EXPECT_THAT(Documents("\n{\"problem_statement\": \"A\"}\n{\"patch\": \"B\", "
                        "\"problem_statement\": null}"),
              ElementsAre("2|A|", "3||B"));
}

TEST(DecontaminationSetTest, TextIsADocumentALine) {
  EXPECT_THAT(Documents("\xEF\xBB\xBF The parser drops the last line. \r\n\n\t\nSecond\n"),
              ElementsAre("1|The parser drops the last line.|", "4|Second|"));
  EXPECT_THAT(Documents("{braces} are text\n[BUG] too\n"),
              ElementsAre("1|{braces} are text|", "2|[BUG] too|"));
}

TEST(DecontaminationSetTest, ItStopsWhenItIsTold) {
  int seen = 0;
  EXPECT_TRUE(
      ReadDecontaminationSet("a\nb\nc\n", "f", [&](const auto&) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2);
}

TEST(DecontaminationSetTest, WhatCannotBeUsedIsSaidWithItsLine) {
  const std::string row = "{\"instance_id\": \"a\", \"problem_statement\": \"b\"}\n";
  const std::pair<std::string, std::string> kFiles[] = {
      {"", "held.out: it holds no document"},
      {" \n\r\n", "held.out: it holds no document"},
      {row + "{\"instance_id\": ", "held.out:2: not valid JSON"},
      {row + "plain text\n", "held.out:2: not valid JSON"},
      {row + "[1]\n", "held.out:2: not a JSON object"},
      {"{\"id\": 1}\n", "held.out:1: neither problem_statement nor patch"},
      {"{}\n", "held.out:1: neither problem_statement nor patch"},
      {"{\"problem_statement\": \" \", \"patch\": \"\\n\"}", "held.out:1: neither"},
      {row + "{\"instance_id\": 7, \"problem_statement\": \"b\"}",
       "held.out:2: instance_id is not"},
      {"{\"problem_statement\": [\"b\"]}", "held.out:1: problem_statement is not text"},
      {"{\"problem_statement\": \"b\", \"patch\": {}}", "held.out:1: patch is not text"},
      {"good\n" + std::string("n\0l", 3), "held.out:2: it holds a NUL byte"},
      {"good\ncaf\xE9\n", "held.out:2: not UTF-8"},
      {std::string(17 << 20, 'a'), "held.out:1: longer than 16 MiB"},
      {"{\"a\": " + std::string(5'000, '[') + "\n", "held.out:1: JSON nests deeper"},
      {"\x1F\x8B\x08 rest", "held.out: it is compressed"},
      {"\x28\xB5\x2F\xFD rest", "held.out: it is compressed"},
      {"PAR1 rest", "held.out: it is a Parquet file"},
      {" [\n {\"instance_id\": \"a\"}]", "held.out: it is one JSON array"}};
  for (const auto& [bytes, message] : kFiles) {
    const Status status = Read(bytes);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << message;
    EXPECT_EQ(status.boundary(), Boundary::kConfig);
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace taskmint::datasets
