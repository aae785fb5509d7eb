#include "datasets/archive.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/datasets/tar_text.h"
#include "tests/datasets/temporary_folder.h"

namespace taskmint::datasets {
namespace {

FileEntry Link(const std::string& target) {
  return {FileEntry::Kind::kSymlink, std::make_shared<const std::string>(target)};
}

FileTree Sample() {
  FileTree tree;
  FileEntry program = RegularFile("#!/bin/sh\n");
  program.kind = FileEntry::Kind::kExecutable;
  const std::string deep = "deep/" + std::string(200, 'd') + "/" + std::string(200, 'f');
  EXPECT_TRUE(tree.Set("src/a.py", RegularFile("x = 1\n")).ok());
  EXPECT_TRUE(tree.Set("bin/run", program).ok());
  EXPECT_TRUE(tree.Set("empty", RegularFile("")).ok());
  EXPECT_TRUE(tree.Set("caf\xc3\xa9 \xe2\x98\x83", RegularFile(std::string(100'000, 'x'))).ok());
  EXPECT_TRUE(tree.Set("latin-\xe9\xff\n\\", RegularFile(std::string("\0\1", 2))).ok());
  EXPECT_TRUE(tree.Set(deep, RegularFile("deep")).ok());
  EXPECT_TRUE(tree.Set("up", Link("../../etc/passwd")).ok());
  EXPECT_TRUE(tree.Set("odd", Link("\xff/" + std::string(300, 'l'))).ok());
  return tree;
}

// What is said of an archive that must not be read.
std::string RefusalOf(const std::string& bytes, const ArchiveLimits& limits = {}) {
  const Result<FileTree> tree = ReadArchive(bytes, "x.tar", limits);
  EXPECT_FALSE(tree.ok());
  if (tree.ok()) return "";
  EXPECT_EQ(tree.status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(tree.status().message().starts_with("x.tar: ")) << tree.status().message();
  return tree.status().message();
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ArchiveTest, ATreeComesBackAsItWas) {
  const FileTree tree = Sample();
  const std::string bytes = WriteArchive(tree).value();
  const Result<FileTree> again = ReadArchive(bytes, "x.tar");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(TreeDigest(*again), TreeDigest(tree));
  EXPECT_TRUE(*again == tree);
}

TEST(ArchiveTest, EqualTreesGiveEqualBytesWithoutNameAndTime) {
  const std::string bytes = WriteArchive(Sample()).value();
  EXPECT_EQ(WriteArchive(Sample()).value(), bytes);
  // Flags (no name) and the four bytes of the time of the gzip header.
  EXPECT_EQ(bytes.substr(3, 5), std::string(5, '\0'));
}

TEST(ArchiveTest, TheTarProgramReadsWhatIsWritten) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/a.tar.gz", std::ios::binary) << WriteArchive(Sample()).value();
  const std::string command =
      "cd '" + folder.path() +
      "' && mkdir out && tar -xzf a.tar.gz -C out && test -x out/bin/run && "
      "test -L out/up && test ! -x out/src/a.py && "
      "tar --numeric-owner -tvzf a.tar.gz | grep -q '0/0.* 1980-01-01'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(ArchiveTest, ArchivesOfTheTarProgramAreReadInEveryFormat) {
  const TemporaryFolder folder;
  const std::string make = "cd '" + folder.path() +
                           "' && mkdir -p in/empty && echo 1 > in/caf\xc3\xa9 && "
                           "ln in/caf\xc3\xa9 in/zwei && ln -s zwei in/drei && "
                           "mkdir -p in/" +
                           std::string(90, 'a') + "/" + std::string(90, 'b') + " && echo 2 > in/" +
                           std::string(90, 'a') + "/" + std::string(90, 'b') +
                           "/file && for f in gnu pax ustar; do "
                           "tar --format=$f -czf $f.tar.gz -C in . || exit 1; done";
  ASSERT_EQ(std::system(make.c_str()), 0);
  for (const std::string format : {"gnu", "pax", "ustar"}) {
    const Result<FileTree> tree = ReadArchiveFile(folder.path() + "/" + format + ".tar.gz");
    ASSERT_TRUE(tree.ok()) << tree.status().ToString();
    EXPECT_EQ(tree->size(), 4U) << format;
    ASSERT_TRUE(tree->Contains("caf\xc3\xa9")) << format;
    ASSERT_TRUE(tree->Contains("zwei")) << format;
    EXPECT_EQ(*tree->Find("zwei")->content, "1\n") << format;
    EXPECT_EQ(tree->Find("drei")->kind, FileEntry::Kind::kSymlink) << format;
  }
}

TEST(ArchiveTest, PathsThatLeadOutAreRefused) {
  for (const char* path : {"/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", ".."}) {
    const std::string refusal = RefusalOf(TarText({path, "x"}) + TarEnd());
    EXPECT_TRUE(Contains(refusal, "no path below the archive's root")) << refusal;
  }
}

TEST(ArchiveTest, DevicesAndFifosAreRefused) {
  for (const char type : {'3', '4', '6'}) {
    TarEntry entry{"dev", ""};
    entry.type = type;
    EXPECT_TRUE(Contains(RefusalOf(TarText(entry) + TarEnd()), "neither a file"));
  }
}

TEST(ArchiveTest, HardLinksOutOfTheArchiveAreRefused) {
  for (const char* target : {"/etc/passwd", "../x", "later", "link"}) {
    TarEntry entry{"a", "", '1', target};
    const std::string bytes = TarText({"link", "", '2', "/etc/passwd"}) + TarText(entry) +
                              TarText({"later", "x"}) + TarEnd();
    EXPECT_NE(RefusalOf(bytes), "");
  }
}

TEST(ArchiveTest, NothingStandsTwiceOrBelowALink) {
  EXPECT_TRUE(Contains(RefusalOf(TarText({"a", "1"}) + TarText({"./a", "2"}) + TarEnd()), "twice"));
  EXPECT_TRUE(Contains(
      RefusalOf(TarText({"a", "", '2', "/etc"}) + TarText({"a/passwd", "x"}) + TarEnd()), "below"));
  EXPECT_TRUE(
      Contains(RefusalOf(TarText({"a/b", "x"}) + TarText({"a", "file"}) + TarEnd()), "below"));
}

TEST(ArchiveTest, WhatIsNoArchiveOrCutShortIsRefused) {
  const std::string whole = WriteArchive(Sample()).value();
  EXPECT_NE(RefusalOf(""), "");
  EXPECT_NE(RefusalOf("hello"), "");
  EXPECT_NE(RefusalOf(std::string(5'000, 'x')), "");
  EXPECT_NE(RefusalOf(TarEnd()), "");
  for (size_t size = 1; size + 20 < whole.size(); size += 37) RefusalOf(whole.substr(0, size));
  TarEntry longer{"a", "short"};
  longer.size = 5'000;
  EXPECT_NE(RefusalOf(TarText(longer)), "");
}

TEST(ArchiveTest, LimitsHold) {
  ArchiveLimits limits;
  limits.entries_max = 2;
  const std::string three = TarText({"a", "1"}) + TarText({"b", "2"}) + TarText({"c", "3"});
  EXPECT_TRUE(Contains(RefusalOf(three + TarEnd(), limits), "more than 2 entries"));
  limits = {};
  limits.bytes_max = 10;
  const std::string eleven = TarText({"a", "123456"}) + TarText({"b", "12345"}) + TarEnd();
  EXPECT_TRUE(Contains(RefusalOf(eleven, limits), "more than 10 bytes"));
  limits = {};
  limits.file_bytes_max = 10;
  EXPECT_TRUE(Contains(RefusalOf(TarText({"a", "12345678901"}) + TarEnd(), limits), "larger"));
  limits = {};
  limits.path_bytes_max = 10;
  EXPECT_TRUE(Contains(RefusalOf(TarText({"12345678901", "x"}) + TarEnd(), limits), "too long"));
}

TEST(ArchiveTest, ABombIsRefusedBeforeItIsUnpacked) {
  FileTree tree;
  ASSERT_TRUE(tree.Set("zeros", RegularFile(std::string(80 << 20, '\0'))).ok());
  const std::string bytes = WriteArchive(tree).value();
  ArchiveLimits limits;
  limits.ratio_max = 100;
  EXPECT_TRUE(Contains(RefusalOf(bytes, limits), "times its size"));
}

TEST(ArchiveTest, FilesOfEqualContentsShareThem) {
  const std::string content(100'000, 'x');
  const Result<FileTree> tree =
      ReadArchive(TarText({"a", content}) + TarText({"b", content}) + TarEnd(), "x.tar");
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ(tree->Find("a")->content, tree->Find("b")->content);
}

TEST(ArchiveTest, AFileThatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  const Status absent = ReadArchiveFile(folder.path() + "/absent").status();
  EXPECT_EQ(absent.code(), Code::kInvalidArgument);
  EXPECT_TRUE(Contains(absent.message(), folder.path() + "/absent"));
  EXPECT_TRUE(Contains(ReadArchiveFile(folder.path()).status().message(), "no regular file"));
}

}  // namespace
}  // namespace taskmint::datasets
