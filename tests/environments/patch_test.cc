#include "environments/repository/patch.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>

#include "environments/repository/git_repository.h"
#include "proto/base/random.h"
#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/random_tree.h"

namespace taskmint::environments {
namespace {

using testing::HasSubstr;
using testing::Not;

class ApplyPatchTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto host = sandbox::MakeBubblewrapHost();
    ASSERT_TRUE(host.ok()) << host.status().ToString();
    host_ = std::move(host).value().release();
  }
  static void TearDownTestSuite() {
    delete host_;
    host_ = nullptr;
  }
  static Result<FileTree> Apply(const FileTree& base, std::string_view patch) {
    return ApplyPatch(*host_, base, patch, {});
  }
  static FileTree Base() {
    FileTree tree;
    EXPECT_TRUE(tree.Set("src/a.py", RegularFile("one\ntwo\nthree\n")).ok());
    EXPECT_TRUE(tree.Set("README", RegularFile("hello\n")).ok());
    return tree;
  }
  static void ExpectRefused(std::string_view patch, const std::string& words) {
    const auto result = Apply(Base(), patch);
    ASSERT_FALSE(result.ok()) << patch;
    EXPECT_EQ(result.status().code(), Code::kInvalidArgument) << result.status().ToString();
    EXPECT_EQ(result.status().boundary(), Boundary::kEnvironment);
    EXPECT_THAT(result.status().message(), HasSubstr(words));
  }

  static sandbox::SandboxHost* host_;
};
sandbox::SandboxHost* ApplyPatchTest::host_ = nullptr;

constexpr char kPatch[] =
    "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";

TEST_F(ApplyPatchTest, UndoesMakePatchForRandomTrees) {
  for (uint64_t seed = 100; seed < 115; ++seed) {
    Random random(seed);
    const FileTree from = RandomTree(random);
    const FileTree to = RandomVariation(from, random);
    const auto applied = Apply(from, MakePatch(from, to).value());
    ASSERT_TRUE(applied.ok()) << "seed " << seed << ": " << applied.status().ToString();
    EXPECT_EQ(TreeDigest(*applied), TreeDigest(to)) << "seed " << seed;
  }
}

TEST_F(ApplyPatchTest, EmptyPatchChangesNothing) {
  for (const char* patch : {"", "\n", " \r\n\n"}) {
    EXPECT_EQ(TreeDigest(Apply(Base(), patch).value()), TreeDigest(Base()));
  }
}

TEST_F(ApplyPatchTest, TakesPlainDiffsAndMailsAndMissingLastNewlines) {
  const std::string mail =
      "From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\n"
      "Date: Mon, 1 Jan 2024 00:00:00 +0000\nSubject: [PATCH] Count\n\nWords.\n---\n"
      " src/a.py | 2 +-\n"
      " 1 file changed, 1 insertion(+), 1 deletion(-)\n\ndiff --git a/src/a.py b/src/a.py\n" +
      std::string(kPatch) + "-- \n2.39.5\n\n";
  const std::string dated =
      "--- a/src/a.py\t2024-01-01 00:00:00.000000000 +0000\n"
      "+++ b/src/a.py\t2024-01-01 00:00:01.000000000 +0000\n"
      "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three";
  for (const std::string& patch : {std::string(kPatch), mail, dated}) {
    const auto applied = Apply(Base(), patch);
    ASSERT_TRUE(applied.ok()) << applied.status().ToString();
    EXPECT_EQ(*applied->Find("src/a.py")->content, "one\n2\nthree\n");
    EXPECT_EQ(applied->size(), 2u);
  }
}

TEST_F(ApplyPatchTest, SaysWhyAPatchDoesNotApply) {
  ExpectRefused("this is no patch\n", "No valid patches in input; write it with `git diff`");
  ExpectRefused("diff --git a.py a.py\n--- a.py\n+++ a.py\n@@ -1 +1 @@\n-x\n+y\n", "prefixes a/");
  ExpectRefused("--- a/src/a.py\n+++ b/src/a.py\n@@ -1,3 +1,3 @@\n one\n-TWO\n+2\n three\n",
                "patch failed: src/a.py:1");
  ExpectRefused("--- src/a.py\n+++ src/a.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
                "prefixes a/ and b/");
  ExpectRefused("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-x\n+y\n", "none: No such file");
  ExpectRefused("--- a/src/a.py\r\n+++ b/src/a.py\r\n@@ -1,2 +1,2 @@\r\n one\r\n-two\r\n+2\r\n",
                "CRLF");
  ExpectRefused("*** src/a.py\n--- src/a.py\n***************\n*** 1 ****\n! one\n--- 1 ----\n! 1\n",
                "context diffs are not supported");
  ExpectRefused("diff --git a/x b/x\nGIT binary patch\nliteral 5\ngarbage\n", "does not apply");
}

TEST_F(ApplyPatchTest, TakesHunksOfCrlfFiles) {
  FileTree base;
  ASSERT_TRUE(base.Set("dos.txt", RegularFile("a\r\nb\r\n")).ok());
  FileTree to;
  ASSERT_TRUE(to.Set("dos.txt", RegularFile("a\r\nB\r\n")).ok());
  const auto applied = Apply(base, MakePatch(base, to).value());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(TreeDigest(*applied), TreeDigest(to));
}

TEST_F(ApplyPatchTest, NeverLeavesTheTree) {
  const std::string body = "\n@@ -0,0 +1 @@\n+x\n";
  ExpectRefused("--- /dev/null\n+++ b/../escaped" + body, "invalid path");
  ExpectRefused("--- /dev/null\n+++ b//tmp/escaped" + body, "invalid path");
  ExpectRefused("--- /dev/null\n+++ b/.git/hooks/post-checkout" + body, "invalid path");
  ExpectRefused(
      "diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n"
      "+/tmp\n\\ No newline at end of file\ndiff --git a/link/x b/link/x\nnew file mode 100644\n"
      "--- /dev/null\n+++ b/link/x\n@@ -0,0 +1 @@\n+x\n",
      "symbolic link");
}

TEST_F(ApplyPatchTest, RepositoryAmongTheFilesDoesNotSteerIt) {
  FileTree base = Base();
  ASSERT_TRUE(base.Set(".git/HEAD", RegularFile("ref: refs/heads/main\n")).ok());
  ASSERT_TRUE(base.Set(".git/config", RegularFile("[apply]\n\twhitespace = error\n")).ok());
  ASSERT_TRUE(base.Set(".git/objects/x", RegularFile("")).ok());
  ASSERT_TRUE(base.Set(".git/refs/x", RegularFile("")).ok());
  const auto applied =
      Apply(base, "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2   \n three\n");
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(*applied->Find("src/a.py")->content, "one\n2   \nthree\n");
}

TEST_F(ApplyPatchTest, HidesControlCharactersOfHostilePatches) {
  const auto result = Apply(Base(), "--- a/\x1b[31mred\n+++ b/\x1b[31mred\n@@ -1 +1 @@\n-x\n+y\n");
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.status().message(), Not(HasSubstr("\x1b")));
}

// In which git ends in a way that it chose for no reason of the patch's.
template <sandbox::Ending kEnding>
class BrokenSandbox : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  Result<sandbox::CommandResult> Run(const sandbox::Command&, std::stop_token) override {
    sandbox::CommandResult result;
    result.ending = kEnding;
    result.signal = SIGKILL;
    return result;
  }
};

TEST_F(ApplyPatchTest, ABrokenMachineIsNoJudgementOfThePatch) {
  sandbox::ForwardingHost<BrokenSandbox<sandbox::Ending::kWallTime>> slow(*host_);
  sandbox::ForwardingHost<BrokenSandbox<sandbox::Ending::kSignalled>> killing(*host_);
  sandbox::ForwardingHost<> without_git(*host_, std::filesystem::canonical("/usr/bin/git"));
  for (sandbox::SandboxHost* host :
       {static_cast<sandbox::SandboxHost*>(&slow), static_cast<sandbox::SandboxHost*>(&killing),
        static_cast<sandbox::SandboxHost*>(&without_git)}) {
    const auto result = ApplyPatch(*host, Base(), kPatch, {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().boundary(), Boundary::kSandbox) << result.status().ToString();
    EXPECT_TRUE(result.status().transient());
  }
}

TEST_F(ApplyPatchTest, RefusesAHugePatch) {
  const auto result = Apply(Base(), std::string((64 << 20) + 1, 'x'));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace taskmint::environments
