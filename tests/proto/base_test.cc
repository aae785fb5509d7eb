#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "proto/base/digest.h"
#include "proto/base/file_tree.h"
#include "proto/base/json.h"
#include "proto/base/random.h"
#include "proto/base/record.h"
#include "proto/base/utf8.h"

namespace taskmint {
namespace {

TEST(DigestTest, MatchesThePublishedVectorOfSha256) {
  // FIPS 180-4 example, "abc".
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  StreamDigest stream;
  for (const char* piece : {"a", "", "bc"}) stream.Add(piece);
  EXPECT_EQ(stream.Hex(), Sha256Hex("abc"));
}

TEST(DigestTest, FieldsDoNotRunIntoEachOther) {
  EXPECT_NE(DigestBuilder().Add("ab").Add("c").Hex(), DigestBuilder().Add("a").Add("bc").Hex());
}

TEST(FileTreeTest, RefusesPathsThatLeaveTheTree) {
  FileTree tree;
  for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a"}) {
    EXPECT_FALSE(tree.Set(path, RegularFile("x")).ok()) << path;
  }
  EXPECT_TRUE(tree.Set("a/\xff b", RegularFile("x")).ok());
}

TEST(FileTreeTest, DigestDependsOnContentModeAndNameOnly) {
  FileTree a;
  ASSERT_TRUE(a.Set("src/x.py", RegularFile("1")).ok());
  ASSERT_TRUE(a.Set("y", RegularFile("2")).ok());
  FileTree b;
  ASSERT_TRUE(b.Set("y", RegularFile("2")).ok());
  ASSERT_TRUE(b.Set("src/x.py", RegularFile("1")).ok());
  EXPECT_EQ(TreeDigest(a), TreeDigest(b));
  ASSERT_TRUE(b.Set("y", {FileEntry::Kind::kExecutable, std::make_shared<std::string>("2")}).ok());
  EXPECT_NE(TreeDigest(a), TreeDigest(b));
}

TEST(FileTreeTest, OverlayReplacesFoldersByFilesAndFilesByFolders) {
  FileTree base;
  ASSERT_TRUE(base.Set("a/b", RegularFile("1")).ok());
  ASSERT_TRUE(base.Set("c", RegularFile("2")).ok());
  FileTree over;
  ASSERT_TRUE(over.Set("a", RegularFile("3")).ok());
  ASSERT_TRUE(over.Set("c/d", RegularFile("4")).ok());
  base.Overlay(over);
  EXPECT_EQ(TreeDigest(base), TreeDigest(over));
}

TEST(Utf8Test, ReplacesWhatIsMalformedAndHidesControlCharacters) {
  EXPECT_EQ(ToUtf8("a\xffz"), "a\xEF\xBF\xBDz");
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));  // a surrogate
  EXPECT_EQ(Printable("\x1b[31mred\n"), "\\x1b[31mred\n");
  EXPECT_EQ(Printable("\xC2\x9B"), "\\x9b");
}

TEST(Utf8Test, CutSaysHowMuchWasCutAndKeepsBothEnds) {
  const std::string cut = CutMiddle(std::string(50, 'a') + std::string(50, 'b'), 10);
  EXPECT_TRUE(cut.starts_with("aaaaa\n"));
  EXPECT_TRUE(cut.ends_with("\nbbbbb"));
  EXPECT_NE(cut.find("90 bytes cut"), std::string::npos);
}

TEST(JsonTest, ForeignFieldsOfAnotherTypeAreAbsent) {
  const auto value = ParseJson(R"({"s":"x","i":-3,"u":18446744073709551615,"f":1.5,"b":true})");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(StringOr(*value, "s", "?"), "x");
  EXPECT_EQ(IntOr(*value, "i", 7), -3);
  EXPECT_TRUE(BoolOr(*value, "b", false));
  for (const char* field : {"s", "u", "f", "b", "none"}) EXPECT_EQ(IntOr(*value, field, 7), 7);
  for (const char* field : {"i", "b", "none"}) EXPECT_EQ(StringOr(*value, field, "?"), "?");
  for (const char* field : {"i", "s", "none"}) EXPECT_FALSE(BoolOr(*value, field, false));
  const auto list = ParseJson("[1]");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(StringOr(*list, "s", "?"), "?");
}

TEST(JsonTest, RefusesDeepNestingAndBrokenText) {
  EXPECT_FALSE(ParseJson(std::string(5000, '[')).ok());
  EXPECT_FALSE(ParseJson("{\"a\":").ok());
  EXPECT_TRUE(ParseJson("{\"a\":[1,2]}").ok());
}

TEST(RandomTest, IsAFunctionOfSeedAndPurpose) {
  EXPECT_EQ(Random(7, "order").Next(), Random(7, "order").Next());
  EXPECT_NE(Random(7, "order").Next(), Random(7, "mutants").Next());
}

TEST(RecordTest, TaskIdIgnoresWhereTheSourceLies) {
  v1::Task task;
  task.mutable_prompt()->set_text("fix it");
  task.mutable_provenance()->set_commit("abc");
  const std::string id = TaskId(task);
  task.mutable_provenance()->set_source("elsewhere");
  task.set_id(id);
  EXPECT_EQ(TaskId(task), id);
  task.mutable_provenance()->set_commit("abd");
  EXPECT_NE(TaskId(task), id);
}

TEST(RecordTest, EqualObservationsAreEqualAfterMasking) {
  EXPECT_EQ(MaskObservation("3 passed in 0.12s <A at 0x7f0011223344> /tmp/pytest-1/x"),
            MaskObservation("3 passed in 4.56s <A at 0x7f00aabbccdd> /tmp/pytest-9/y"));
}

TEST(StatusTest, CarriesCodeBoundaryAndMessage) {
  const Result<int> result = Status(Code::kNotFound, Boundary::kStore, "no task 12");
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status().ToString(), "NOT_FOUND (store): no task 12");
}

TEST(Utf8Test, OnlyAsciiIsLowered) {
  EXPECT_EQ(LowerCase("GIT+ssh://\xC3\x89 Z[@{"), "git+ssh://\xC3\x89 z[@{");
}

TEST(Utf8Test, EveryByteOfLatin1GoesThroughUtf8AndBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_TRUE(IsUtf8(Utf8OfLatin1(bytes)));
  EXPECT_EQ(Utf8OfLatin1("caf\xE9"), "caf\xC3\xA9");
  EXPECT_EQ(Latin1OfUtf8(Utf8OfLatin1(bytes)), bytes);
  EXPECT_EQ(Latin1OfUtf8("\xC3"), "\xC3");
}

}  // namespace
}  // namespace taskmint
