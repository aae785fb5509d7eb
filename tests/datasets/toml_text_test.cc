#include "datasets/toml_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace taskmint::datasets {
namespace {

using nlohmann::json;

TEST(TomlTextTest, WhatIsWrittenIsReadTheSame) {
  const json document = {{"text", "caf\xc3\xa9 100% \"quoted\" \\ %41 \xe2\x98\x83\n\ttab\x01"},
                         {"number", -5},
                         {"real", 600.0},
                         {"flag", true},
                         {"none", json::array()},
                         {"list", {"a", "b%"}},
                         {"table", {{"key with spaces", "x"}, {"\xc3\xa9", {{"deep", 1}}}}},
                         {"tables", {{{"name", "a"}}, {{"name", "b"}}}}};
  const std::string text = WriteToml(document);
  const auto again = ReadToml(text, "x.toml");
  ASSERT_TRUE(again.ok()) << again.status().ToString() << "\n" << text;
  EXPECT_EQ(*again, document) << text;
  EXPECT_NE(text.find("[[tables]]"), std::string::npos) << text;
  EXPECT_NE(text.find("real = 600.0"), std::string::npos) << text;
}

TEST(TomlTextTest, MalformedTextIsRefusedWithItsLine) {
  const std::pair<std::string, std::string> texts[] = {
      {"a = 1\nb = \n", "x.toml:2: "},
      {"[a]\n[a]\n", "x.toml:2: "},
      {"a = \"\xff\"\n", "x.toml:1: this is no UTF-8"},
      {"[}", "x.toml:1: "},
      {"\n[" + std::string(40, '[') + "\n", "x.toml:2: nested too deep"},
      {"a" +
           [] {
             std::string dots;
             for (int i = 0; i < 40; ++i) dots += ".a";
             return dots;
           }() +
           " = 1\n",
       "x.toml:1: nested too deep"}};
  for (const auto& [text, head] : texts) {
    const auto read = ReadToml(text, "x.toml");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
    EXPECT_TRUE(read.status().message().starts_with(head)) << read.status().message();
  }
}

TEST(TomlTextTest, DatesAreTexts) {
  EXPECT_EQ(ReadToml("d = 2024-01-31\n", "x").value()["d"], "2024-01-31");
}

}  // namespace
}  // namespace taskmint::datasets
