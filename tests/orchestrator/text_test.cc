// Dates, tables, durations: what users write and read.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "environments/repository/code_tools.h"
#include "orchestrator/dates.h"
#include "orchestrator/progress.h"
#include "orchestrator/terminal.h"
#include "proto/base/json.h"

namespace taskmint::orchestrator {
namespace {

int64_t Seconds(const std::string& text, DayPart part = DayPart::kBegin) {
  const auto parsed = ParseDate(text, part);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed.ok() ? *parsed : -1;
}

TEST(DatesTest, ADayHasABeginAndAnEnd) {
  EXPECT_EQ(Seconds("1970-01-02"), 86'400);
  EXPECT_EQ(Seconds("1970-01-02", DayPart::kEnd), 2 * 86'400 - 1);
  EXPECT_EQ(Seconds("2024-02-29"), 1'709'164'800);
}

TEST(DatesTest, Rfc3339TimesKeepTheirOffset) {
  EXPECT_EQ(Seconds("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(Seconds("1970-01-01T00:00:00.25Z"), 0);
  EXPECT_EQ(Seconds("1969-12-31 22:30:00-01:30"), 0);
}

TEST(DatesTest, WhatIsNoDateIsRefusedWithAnExample) {
  for (const char* text :
       {"", "yesterday", "2024", "2024-13-01", "2023-02-29", "2024-05-01T", "2024-05-01T12:00:00",
        "2024-05-01T25:00:00Z", "2024-05-01x", "2024-05-01T12:00:00+0200", "24-05-01"}) {
    const auto parsed = ParseDate(text, DayPart::kBegin);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find("2024-05-01"), std::string::npos);
  }
}

TEST(TableTest, ColumnsAlignByCharacterAndTheLastIsCut) {
  Table table({"A", "B"});
  table.Add({"\u00e4\u00f6", "one two three four"});
  table.Add({"longer", "x"});
  EXPECT_EQ(table.Render(0), "A       B\n\u00e4\u00f6      one two three four\nlonger  x\n");
  EXPECT_EQ(table.Render(16), "A       B\n\u00e4\u00f6      one two\u2026\nlonger  x\n");
}

TEST(TableTest, HostileCellsAreMadePrintable) {
  Table table({"A", "B"});
  table.Add({"x", "a\x1b[2Jb\nc"});
  EXPECT_EQ(table.Render(0), "A  B\nx  a\\x1b[2Jb c\n");
}

TEST(ProgressTest, ALongSearchSaysHowFarItIs) {
  FakeClock clock(0);
  testing::internal::CaptureStderr();
  ProgressReporter progress(clock, 0);
  progress.OnSearch(1, 120'000);
  clock.AdvanceMs(10'000);
  progress.OnSearch(30'000, 120'000);
  progress.OnSearch(30'001, 120'000);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "taskmint: looking for candidates: 30000 of 120000 commits\n");
}

TEST(TextTest, DurationsAndSizesReadWell) {
  EXPECT_EQ(DurationText(950), "950 ms");
  EXPECT_EQ(DurationText(185'000), "3 min 5 s");
  EXPECT_EQ(DurationText(7'800'000), "2 h 10 min");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1'400'000), "1.4 MB");
}

TEST(ProgressTest, RateAndTimeLeftComeFromThisInvocationAlone) {
  const RunProgress begin{100, 40, 10};
  const RunProgress now{100, 50, 12};
  EXPECT_EQ(ProgressText(begin, now, 60'000, 0),
            "50/100 decided, 12 kept, 2.0 tasks/min, 5 min 0 s left");
  EXPECT_EQ(ProgressText(begin, now, 60'000, 13),
            "50/100 decided, 12 kept, 2.0 tasks/min, 30 s left");
  EXPECT_EQ(ProgressText(begin, begin, 0, 0), "40/100 decided, 10 kept");
}

TEST(CodeToolsTest, EveryToolHasASchemaOfOneObject) {
  const auto tools = environments::CodeTools();
  ASSERT_EQ(tools.size(), 4U);
  for (const v1::Tool& tool : tools) {
    const auto schema = ParseJson(tool.parameters_json_schema());
    ASSERT_TRUE(schema.ok()) << tool.name();
    EXPECT_EQ((*schema)["type"], "object");
    EXPECT_EQ((*schema)["additionalProperties"], false);
  }
}

}  // namespace
}  // namespace taskmint::orchestrator
