// What users write: taskmint.toml and --repos files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/repository_list.h"
#include "datasets/repository_settings.h"

namespace taskmint::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<v1::RepositorySettings> Parse(std::string_view text) {
  return ParseRepositorySettings(text, "taskmint.toml");
}

std::string Refusal(std::string_view text) {
  const Status status = Parse(text).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << text.substr(0, 100);
  EXPECT_EQ(status.boundary(), Boundary::kConfig);
  return status.message();
}

TEST(RepositorySettingsTest, ReadsEveryKey) {
  const Result<v1::RepositorySettings> settings = Parse(R"(
# comment
setup = """
make . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . .
[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
"""
test_command = 'python -m pytest "tests"'
packages = [
  "numpy<2",  # a comment [
  'hypothesis[cli]>=6']
build_hosts = ["example.org", "127.0.0.1:8443"]
test_wall_minutes_max = 15
)");
  ASSERT_TRUE(settings.ok()) << settings.status().ToString();
  EXPECT_THAT(settings->setup_script(), HasSubstr("make ."));
  EXPECT_EQ(settings->test_command(), "python -m pytest \"tests\"");
  EXPECT_THAT(settings->packages(), ElementsAre("numpy<2", "hypothesis[cli]>=6"));
  EXPECT_THAT(settings->build_hosts(), ElementsAre("example.org", "127.0.0.1:8443"));
  EXPECT_EQ(settings->test_wall_ms_max(), 900'000);
}

TEST(RepositorySettingsTest, EmptyFileSaysNothing) {
  EXPECT_EQ(Parse("")->ByteSizeLong(), 0U);
  EXPECT_EQ(Parse("\n# nothing\n")->ByteSizeLong(), 0U);
}

TEST(RepositorySettingsTest, UnknownKeyIsNamedWithItsLine) {
  EXPECT_THAT(Refusal("setup = ''\n\ntest_comand = 'x'\n"),
              HasSubstr("taskmint.toml:3: unknown key"));
  EXPECT_THAT(Refusal("test_comand = 'x'"), HasSubstr("'test_comand'; known are setup,"));
  EXPECT_THAT(Refusal("[tool]\nx = 1\n"), HasSubstr("tables are not known"));
}

TEST(RepositorySettingsTest, WrongValuesAreNamedWithTheirLine) {
  EXPECT_THAT(Refusal("\nsetup = 1"), HasSubstr("taskmint.toml:2: setup must be a string"));
  EXPECT_THAT(Refusal("packages = 'numpy'"), HasSubstr("list of strings"));
  EXPECT_THAT(Refusal("packages = ['a',\n 1]"), HasSubstr("taskmint.toml:2"));
  EXPECT_THAT(Refusal("packages = ['--index-url=http://evil']"), HasSubstr("is no package"));
  EXPECT_THAT(Refusal("packages = ['a\\n']\npackages = []"), HasSubstr("taskmint.toml"));
  EXPECT_THAT(Refusal("packages = [\"a\\nb\"]"), HasSubstr("is no package"));
  for (const char* host : {"", "http://x", "x:0", "x:99999", "x:", "a b", "-x", "x:1:2", ".x"}) {
    EXPECT_THAT(Refusal("build_hosts = ['" + std::string(host) + "']"), HasSubstr("is no host"));
  }
  for (const char* minutes :
       {"0", "-1", "1441", "0.01", "nan", "inf", "true", "'5'", "9223372036854775807"}) {
    EXPECT_THAT(Refusal("test_wall_minutes_max = " + std::string(minutes)),
                HasSubstr("0.1 to 1440"));
  }
  EXPECT_EQ(
      ParseRepositorySettings("test_wall_minutes_max = 0.5\n", "x").value().test_wall_ms_max(),
      30'000);
  EXPECT_THAT(Refusal("test_command = \"a\\nb\""), HasSubstr("control characters"));
  EXPECT_THAT(Refusal("test_command = \"a\\u0000b\""), HasSubstr("control characters"));
}

TEST(RepositorySettingsTest, KeepsEveryCharacterOfStrings) {
  const auto settings = Parse("\xEF\xBB\xBFsetup = 'echo na\xC3\xAFve \xEF\xBA\xB0 100%25 %C3'\n");
  ASSERT_TRUE(settings.ok()) << settings.status().ToString();
  EXPECT_EQ(settings->setup_script(), "echo na\xC3\xAFve \xEF\xBA\xB0 100%25 %C3");
}

TEST(RepositorySettingsTest, BrokenAndHostileBytesAreRefused) {
  EXPECT_THAT(Refusal("setup = \"\nx"), HasSubstr("taskmint.toml:1"));
  Refusal("setup = 'a'\nsetup = 'b'");
  Refusal("\xff\xfe");
  Refusal(std::string("a\0b", 3));
  Refusal(std::string(70'000, '#'));
  std::string keys = "a";
  for (int i = 0; i < 30'000; ++i) keys += ".a";
  EXPECT_THAT(Refusal(keys + " = 1"), HasSubstr("nested too deep"));
  EXPECT_THAT(Refusal("[" + keys + "]"), HasSubstr("tables are not known"));
  EXPECT_THAT(Refusal("x = " + std::string(60'000, '[')), HasSubstr("nested too deep"));
  Refusal("x = [\n" + std::string(10'000, '{'));
  // Found by fuzzing: the parser asserts on these.
  EXPECT_THAT(Refusal("setup = ''\n[\n+ "), HasSubstr("taskmint.toml:2: tables are not known"));
  EXPECT_THAT(Refusal("packages = \xCF\x8Fy"), HasSubstr("taskmint.toml:1"));
  EXPECT_THAT(Refusal("packages = [}]\n"), HasSubstr("taskmint.toml:1"));
  // What looks like a string to a careless scan.
  for (const std::string& quotes : {std::string("\"\"\"a\"\"\"\""), std::string("''''a'''''")}) {
    EXPECT_THAT(Refusal("x = [" + quotes + ", {" + keys + " = 1}, \"\"]"),
                HasSubstr("nested too deep"));
  }
}

TEST(RepositoryListTest, OneSourceALineWithCommentsAndBlankLines) {
  const auto sources = ParseRepositoryList(
      "\xEF\xBB\xBF# mine\r\n\r\n  /src/a b  \r\nhttps://x.test/r#part  # why\n\t#x\n/src/a b\nz",
      "repos.txt");
  ASSERT_TRUE(sources.ok()) << sources.status().ToString();
  EXPECT_THAT(*sources, ElementsAre("/src/a b", "https://x.test/r#part", "z"));
}

TEST(RepositoryListTest, WhatCannotBeASourceIsNamedWithItsLine) {
  const auto refusal = [](std::string_view text) {
    const Status status = ParseRepositoryList(text, "repos.txt").status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text.substr(0, 20);
    return status.message();
  };
  EXPECT_THAT(refusal(""), HasSubstr("names no repository"));
  EXPECT_THAT(refusal("# only\n\n"), HasSubstr("names no repository"));
  EXPECT_THAT(refusal("a\n--upload-pack=x\n"), HasSubstr("repos.txt:2:"));
  EXPECT_THAT(refusal("a\nb\n\x1b[31m\n"), HasSubstr("repos.txt:3: control"));
  EXPECT_THAT(refusal("\xff\n"), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal(std::string(5'000, 'x')), HasSubstr("longer"));
  EXPECT_THAT(refusal(std::string(2 << 20, '\n')), HasSubstr("1 MiB"));
}

}  // namespace
}  // namespace taskmint::datasets
