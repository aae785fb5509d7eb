#include "orchestrator/container_recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/swebench_log.h"

namespace taskmint::orchestrator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// A step in words.
std::string Said(const ContainerRecipe::Step& step) {
  const auto joined = [](const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += " " + word;
    return text;
  };
  if (const auto* one = std::get_if<ContainerRecipe::Install>(&step)) {
    return "install" + joined(one->packages);
  }
  if (const auto* one = std::get_if<ContainerRecipe::Unpack>(&step)) {
    return "unpack " + one->archive + " " + one->folder;
  }
  if (const auto* one = std::get_if<ContainerRecipe::Copy>(&step)) {
    return "copy " + one->source + " " + one->destination;
  }
  if (const auto* one = std::get_if<ContainerRecipe::Folder>(&step)) return "folder " + one->path;
  if (const auto* one = std::get_if<ContainerRecipe::Link>(&step)) {
    return "link " + one->target + " " + one->path;
  }
  const auto& one = std::get<ContainerRecipe::Command>(step);
  return "in " + one.folder + joined(one.argv);
}

std::vector<std::string> StepsOf(const std::string& text) {
  const auto recipe = ParseContainerRecipe("FROM debian:12\n" + text);
  EXPECT_TRUE(recipe.ok()) << recipe.status().ToString();
  std::vector<std::string> steps;
  if (!recipe.ok()) return steps;
  for (const auto& step : recipe->steps) steps.push_back(Said(step));
  return steps;
}

std::string RefusalOf(const std::string& text) {
  const auto recipe = ParseContainerRecipe(text);
  EXPECT_EQ(recipe.status().code(), Code::kInvalidArgument) << text;
  return recipe.status().message();
}

TEST(ContainerRecipeTest, ExportsAreUnderstood) {
  const auto recipe = ParseContainerRecipe(
      "# syntax=docker/dockerfile:1\nFROM docker.io/library/debian:bookworm-slim\n"
      "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \\\n"
      "  # a comment between\n\n    --no-install-recommends git python3 && \\\n"
      "    rm -rf /var/lib/apt/lists/*\r\n"
      "ENV PATH=\"/venv/bin:/usr/bin\" A='x y'\n"
      "ENV B=\"say \\\"$A\\\" \\$A\"\n"
      "env C ${A} z\n"
      "ADD layer-12.tar.gz /venv/\nADD [\"repo.tar.gz\", \"/work\"]\nCOPY . /tests/\n"
      "RUN mkdir -p /work /a//b/ && ln -s /work /testbed && useradd dev\n"
      "WORKDIR /work\nUSER dev\nRUN git -C /work -c user.name='a b' init -q\n");
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  EXPECT_EQ(recipe->image, "debian:bookworm-slim");
  EXPECT_EQ(recipe->work_folder, "/work");
  EXPECT_THAT(recipe->variables,
              ElementsAre(Pair("A", "x y"), Pair("B", "say \"x y\" $A"), Pair("C", "x y z"),
                          Pair("PATH", "/venv/bin:/usr/bin")));
  std::vector<std::string> steps;
  for (const auto& step : recipe->steps) steps.push_back(Said(step));
  EXPECT_THAT(steps, ElementsAre("install git python3", "unpack layer-12.tar.gz /venv",
                                 "unpack repo.tar.gz /work", "copy . /tests/", "folder /work",
                                 "folder /a/b", "link /work /testbed", "folder /work",
                                 "in /work git -C /work -c user.name=a b init -q"));
  EXPECT_THAT(StepsOf("RUN [\"chmod\", \"755\", \"/a b\"]\nCOPY ./a/ b.txt /c/\nADD x.txt /y\n"),
              ElementsAre("in / chmod 755 /a b", "copy a /c/", "copy b.txt /c/", "copy x.txt /y"));
  EXPECT_THAT(StepsOf("RUN true && rm -rf /var/cache/apt/*\n"), IsEmpty());
}

TEST(ContainerRecipeTest, WhatIsNotUnderstoodIsSaidWithItsLine) {
  const std::pair<const char*, const char*> refusals[] = {
      {"", "no FROM"},
      {"RUN true\n", "FROM must come first"},
      {"FROM alpine:3\n", "alpine:3"},
      {"FROM debian\n", "only debian:RELEASE"},
      {"FROM debian:12 AS base\n", "more than an image"},
      {"FROM debian:12\nFROM debian:12\n", "line 2: a second FROM"},
      {"FROM debian:12\n\nRUN curl x | sh\n", "line 3: '|' is not understood"},
      {"FROM debian:12\nRUN pip install x\n", "RUN of pip is not understood"},
      {"FROM debian:12\nRUN git clone `x`\n", "` is not understood"},
      {"FROM debian:12\nRUN git $(x)\n", "dollar sign"},
      {"FROM debian:12\nRUN git init > x\n", "'>' is not understood"},
      {"FROM debian:12\nRUN git init; rm x\n", "';' is not understood"},
      {"FROM debian:12\nRUN <<END\ntrue\nEND\n", "'<' is not understood"},
      {"FROM debian:12\nRUN git add *\n", "patterns"},
      {"FROM debian:12\nRUN 'x\n", "quote is not closed"},
      {"FROM debian:12\nRUN a && && b\n", "RUN of a"},
      {"FROM debian:12\nRUN true && && true\n", "lacks a command"},
      {"FROM debian:12\nRUN apt-get install x=1\n", "not a package's name"},
      {"FROM debian:12\nRUN --mount=type=cache true\n", "options of RUN"},
      {"FROM debian:12\nENV A\n", "not NAME=VALUE"},
      {"FROM debian:12\nENV A=$B\n", "$B is not set"},
      {"FROM debian:12\nCOPY ../x /y\n", "not a path of the build context"},
      {"FROM debian:12\nCOPY /etc/passwd /y\n", "not a path of the build context"},
      {"FROM debian:12\nADD https://x.example/y /y\n", "not a path of the build context"},
      {"FROM debian:12\nCOPY --from=x a /y\n", "--from=x"},
      {"FROM debian:12\nCOPY a b\n", "absolute path"},
      {"FROM debian:12\nCOPY a /x/../../y\n", "absolute path"},
      {"FROM debian:12\nCOPY a b /y\n", "several files need a folder"},
      {"FROM debian:12\nWORKDIR work\n", "WORKDIR"},
      {"FROM debian:12\nCMD true\n", "CMD is not understood"},
      {"# escape=`\nFROM debian:12\n", "escape"},
      {"FROM debian:12\nRUN\n", "RUN says nothing"},
  };
  for (const auto& [text, part] : refusals) EXPECT_THAT(RefusalOf(text), HasSubstr(part)) << text;
  EXPECT_THAT(RefusalOf(std::string("FROM debian:12\n\0", 16)), HasSubstr("not a text file"));
  EXPECT_THAT(RefusalOf(std::string(2 << 20, '\n')), HasSubstr("1 MiB"));
  // Each doubles the one before.
  std::string growing = "FROM debian:12\nENV A0=xxxxxxxxxxxxxxxx\n";
  for (int i = 0; i < 40; ++i) {
    const std::string last = "$A" + std::to_string(i);
    growing += "ENV A" + std::to_string(i + 1) + "=" + last + last + "\n";
  }
  EXPECT_THAT(RefusalOf(growing), HasSubstr("grows too large"));
}

TEST(SwebenchLogTest, StatusesStandBetweenTheMarkers) {
  const SwebenchLog log = ReadSwebenchLog(
      "PASSED outside\n>>>>> Start Test Output\nPASSED a::b\nFAILED c::d - assert 1\n"
      "ERROR e\nSKIPPED [1] a.py:1: x\nSKIPPED f\nXFAIL g\nPASSED\n PASSED no\n"
      ">>>>> End Test Output\n>>>>> Test Exit Code: 1\n");
  EXPECT_TRUE(log.valid);
  EXPECT_THAT(log.statuses,
              ElementsAre(Pair("a::b", "PASSED"), Pair("c::d", "FAILED"), Pair("e", "ERROR"),
                          Pair("f", "SKIPPED"), Pair("g", "XFAIL")));
}

TEST(SwebenchLogTest, ARunThatCameToNothingIsNoResult) {
  const std::string start = ">>>>> Start Test Output\n", end = ">>>>> End Test Output\n";
  EXPECT_TRUE(ReadSwebenchLog(start + "PASSED a\n" + end).valid);
  EXPECT_TRUE(ReadSwebenchLog(start + "PASSED a\n" + end + ">>>>> Test Exit Code: 0\n").valid);
  for (const std::string& text :
       {std::string(), start + "PASSED a\n", "PASSED a\n" + end, start + end,
        start + "PASSED a\n" + end + ">>>>> Test Exit Code: 3\n",
        start + "PASSED a\n" + end + ">>>>> Tests Timed Out\n"}) {
    EXPECT_FALSE(ReadSwebenchLog(text).valid) << text;
  }
}

}  // namespace
}  // namespace taskmint::orchestrator
