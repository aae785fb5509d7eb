#include "verifier/junit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "proto/base/utf8.h"

namespace taskmint::verifier {
namespace {

using testing::HasSubstr;

constexpr char kReport[] =
    R"(<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="7" failures="0" skipped="99" tests="1">
<testcase classname="tests.test_a" name="test_passes" file="tests/test_a.py" line="1" time="0.1"/>
<testcase classname="tests.test_a" name="test_fails" file="tests/test_a.py">
<failure message="assert 1 == 2&#10;second line">def test_fails(): ...</failure></testcase>
<testcase classname="tests.test_a" name="test_set_up">
<error message="no fixture">x</error></testcase>
<testcase classname="tests.test_a" name="test_skipped"><skipped type="pytest.xfail"/></testcase>
</testsuite></testsuites>)";

// A UTF-16 rendering of ASCII text.
std::string Utf16(std::string_view text, bool big_endian, bool mark) {
  std::string bytes;
  if (mark) bytes = big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : text) bytes += big_endian ? std::string{'\0', c} : std::string{c, '\0'};
  return bytes;
}

std::string Suite(const std::string& cases) { return "<testsuite>" + cases + "</testsuite>"; }

JUnitReport Parse(std::string_view xml) {
  auto report = ParseJUnit(xml);
  EXPECT_TRUE(report.ok()) << report.status().ToString();
  return report.ok() ? *report : JUnitReport{};
}

Status Refusal(std::string_view xml, const JUnitLimits& limits = {}) {
  return ParseJUnit(xml, limits).status();
}

TEST(JUnitTest, EveryOutcomeIsToldApartAndCountersAreIgnored) {
  const JUnitReport report = Parse(kReport);
  ASSERT_EQ(report.cases.size(), 4U);
  EXPECT_EQ(report.cases[0].file, "tests/test_a.py");
  EXPECT_EQ(report.cases[0].class_name, "tests.test_a");
  EXPECT_EQ(report.cases[0].name, "test_passes");
  EXPECT_EQ(report.cases[0].status, v1::TEST_STATUS_PASSED);
  EXPECT_EQ(report.cases[1].status, v1::TEST_STATUS_FAILED);
  EXPECT_EQ(report.cases[1].message, "assert 1 == 2");
  EXPECT_EQ(report.cases[2].status, v1::TEST_STATUS_ERROR);
  EXPECT_EQ(report.cases[3].status, v1::TEST_STATUS_SKIPPED);
}

TEST(JUnitTest, ByteOrderMarksAndUtf16AreRead) {
  const std::string body = Suite(R"(<testcase name="a"/>)");
  EXPECT_EQ(Parse("\xEF\xBB\xBF" + body).cases.size(), 1U);
  for (const bool big_endian : {false, true}) {
    for (const bool mark : {false, true}) {
      const JUnitReport report =
          Parse(Utf16(R"(<?xml version="1.0" encoding="UTF-16"?>)" + body, big_endian, mark));
      ASSERT_EQ(report.cases.size(), 1U);
      EXPECT_EQ(report.cases[0].name, "a");
    }
  }
}

TEST(JUnitTest, LoneSurrogatesAndAnOddLastByteBecomeReplacements) {
  std::string bytes = Utf16("<testsuite><testcase name=\"", false, true);
  bytes += std::string("\x3D\xD8\x00\xDE", 4);  // U+1F600
  bytes += std::string("\x00\xD8", 2);          // lone
  bytes += Utf16("\"/></testsuite>", false, false);
  EXPECT_EQ(Parse(bytes).cases.at(0).name, "\xF0\x9F\x98\x80\xEF\xBF\xBD");
  EXPECT_EQ(Refusal(bytes + "x").code(), Code::kInvalidArgument);
}

TEST(JUnitTest, ControlCharactersAndMalformedUtf8AreMended) {
  const JUnitReport report =
      Parse(Suite("<testcase name=\"a\x01"
                  "b\xFF"
                  "c&#27;d&#x0;e&#x110000;f\xEF\xBF\xBF\"/>"));
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(report.cases.at(0).name, "a" + r + "b" + r + "c" + r + "d" + r + "e" + r + "f" + r);
  EXPECT_EQ(Parse(Suite("<testcase name=\"&#65;&#x1F600;&amp;\"/>")).cases.at(0).name,
            "A\xF0\x9F\x98\x80&");
  const JUnitReport nul = Parse(Suite(std::string("<testcase name=\"a\0b\"/>", 22)));
  EXPECT_EQ(nul.cases.at(0).name, "a" + r + "b");
}

TEST(JUnitTest, MissingAttributesAreEmpty) {
  const JUnitReport report = Parse(Suite("<testcase/>"));
  ASSERT_EQ(report.cases.size(), 1U);
  EXPECT_EQ(report.cases[0].file + report.cases[0].class_name + report.cases[0].name, "");
}

TEST(JUnitTest, DuplicatesStayInDocumentOrder) {
  const JUnitReport report =
      Parse(Suite(R"(<testcase name="a"/><testcase name="a"><failure/></testcase>)"));
  ASSERT_EQ(report.cases.size(), 2U);
  EXPECT_EQ(report.cases[0].status, v1::TEST_STATUS_PASSED);
  EXPECT_EQ(report.cases[1].status, v1::TEST_STATUS_FAILED);
}

TEST(JUnitTest, TheWorstOutcomeOfACaseCounts) {
  const JUnitReport report =
      Parse(Suite(R"(<testcase name="a"><skipped message="s"/><error message="e"/>)"
                  R"(<failure message="f"/></testcase>)"));
  EXPECT_EQ(report.cases.at(0).status, v1::TEST_STATUS_ERROR);
  EXPECT_EQ(report.cases.at(0).message, "e");
}

TEST(JUnitTest, OutcomesOutsideOrBelowACaseDoNotCount) {
  const JUnitReport report = Parse(Suite(
      R"(<failure/><testcase name="a"><system-out><failure/></system-out></testcase><error/>)"));
  EXPECT_EQ(report.cases.at(0).status, v1::TEST_STATUS_PASSED);
}

TEST(JUnitTest, NestedSuitesAreFlattened) {
  const JUnitReport report = Parse(
      "<testsuites><testsuite><testsuite><testcase name='a'/></testsuite><testcase name='b'/>"
      "</testsuite></testsuites>");
  ASSERT_EQ(report.cases.size(), 2U);
  EXPECT_EQ(report.cases[1].name, "b");
}

TEST(JUnitTest, HugeCharacterDataIsReadInLinearTimeAndNotKept) {
  const std::string data(16 << 20, 'x');
  const auto begin = std::chrono::steady_clock::now();
  const JUnitReport report =
      Parse(Suite("<testcase name='a'><failure><![CDATA[" + data + "]]></failure></testcase>"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(report.cases.at(0).message.size(), 500U);
}

TEST(JUnitTest, AMessageIsCutAtACharacter) {
  std::string message;
  for (int i = 0; i < 300; ++i) message += "\xC3\xA9";
  message += 'x';
  const JUnitReport report =
      Parse(Suite("<testcase><failure message='a" + message + "'/></testcase>"));
  EXPECT_EQ(report.cases.at(0).message.size(), 499U);
  EXPECT_TRUE(IsUtf8(report.cases.at(0).message));
}

TEST(JUnitTest, TruncatedReportsAreRefusedWhereverTheyEnd) {
  const std::string whole = kReport;
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(Refusal(std::string_view(whole).substr(0, length)).code(), Code::kInvalidArgument)
        << length;
  }
}

TEST(JUnitTest, WhatIsNoJUnitReportIsRefused) {
  EXPECT_THAT(Refusal("").message(), HasSubstr("empty"));
  EXPECT_THAT(Refusal(" \n").message(), HasSubstr("empty"));
  EXPECT_THAT(Refusal("<html/>").message(), HasSubstr("<html>"));
  EXPECT_EQ(Refusal("PASSED").code(), Code::kInvalidArgument);
  EXPECT_EQ(Refusal("<testsuite/><testsuite/>").code(), Code::kInvalidArgument);
  EXPECT_EQ(Refusal("<testsuite>&unknown;</testsuite>").code(), Code::kInvalidArgument);
  EXPECT_THAT(Refusal(Suite("<testcase><testcase/></testcase>")).message(),
              HasSubstr("inside another"));
}

TEST(JUnitTest, DocumentTypesAndEntityBombsAreRefused) {
  const std::string bomb =
      "<!DOCTYPE t [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
      "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><testsuite>&c;</testsuite>";
  EXPECT_THAT(Refusal(bomb).message(), HasSubstr("document type"));
  EXPECT_THAT(Refusal("<!DOCTYPE t SYSTEM 'file:///etc/passwd'><testsuite/>").message(),
              HasSubstr("document type"));
}

TEST(JUnitTest, LimitsHold) {
  JUnitLimits limits;
  limits.depth_max = 8;
  limits.cases_max = 2;
  limits.bytes_max = 4096;
  std::string deep;
  for (int i = 0; i < 9; ++i) deep += "<testsuite>";
  EXPECT_EQ(Refusal(deep, limits).code(), Code::kResourceExhausted);
  EXPECT_EQ(Refusal(Suite("<testcase/><testcase/><testcase/>"), limits).code(),
            Code::kResourceExhausted);
  EXPECT_EQ(Refusal(std::string(5000, ' '), limits).code(), Code::kResourceExhausted);
  std::string bottomless;
  for (int i = 0; i < 200'000; ++i) bottomless += "<testsuite>";
  EXPECT_EQ(Refusal(bottomless).code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace taskmint::verifier
