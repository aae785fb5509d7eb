#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <functional>

#include "tests/verifier/fake_driver.h"
#include "verifier/gate.h"
#include "verifier/secrets.h"

namespace taskmint::verifier {
namespace {

using environments::Proposal;
using testing::HasSubstr;
using testing::StartsWith;

// Put together here, so that no secret's form stands in this file.
std::string AwsKey() { return std::string("AKIA") + "Z7K2QW9XPL4MNB3V"; }
std::string GithubToken() { return std::string("ghp_") + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"; }
std::string PrivateKey() {
  return std::string("-----BEGIN RSA ") + "PRIVATE KEY-----\n" +
         "MIIEpAIBAAKCAQEAx8Zk3J2mN5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO\n";
}

Proposal Complete() {
  Proposal proposal;
  proposal.commit.sha = std::string(40, 'a');
  proposal.commit.parents = {std::string(40, 'b')};
  proposal.commit.author_time_s = 1;
  proposal.parent_tree = Tree({{"src/a", "old\n"}, {"tests/old.t", PrivateKey()}});
  proposal.gold_tree = Tree({{"src/a", "new\n"}});
  proposal.gold_patch = "--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-old\n+new\n";
  proposal.overlay = Tree({{"tests/a.t", "target: needs new\n"}, {"tests/old.t", PrivateKey()}});
  proposal.test_files = {"tests/a.t"};
  proposal.prompt.set_text("The widget does not turn.");
  proposal.prompt.set_source(v1::Prompt::SOURCE_ISSUE);
  proposal.licence.set_spdx_id("unknown");
  return proposal;
}

std::string Reason(const std::function<void(Proposal&)>& damage,
                   const std::vector<std::string>& host_paths = {}) {
  Proposal proposal = Complete();
  damage(proposal);
  return RejectionReason(LintGate(proposal, host_paths).evidence);
}

void Add(Proposal& proposal, const std::string& path, const std::string& content) {
  ASSERT_TRUE(proposal.overlay.Set(path, RegularFile(content)).ok());
}

TEST(LintGateTest, ACompleteProposalPassesWhateverWasPublicBefore) {
  EXPECT_EQ(Reason([](Proposal&) {}), "");
}

TEST(LintGateTest, WhatIsMissingOrTooLargeIsNamed) {
  const std::pair<std::function<void(Proposal&)>, const char*> cases[] = {
      {[](Proposal& p) { p.prompt.set_text(" \n"); }, "lint: the prompt is empty"},
      {[](Proposal& p) { p.prompt.set_text("bad \xFF byte"); }, "lint: the prompt is not valid"},
      {[](Proposal& p) { p.prompt.set_text(std::string(65'537, 'x')); }, "lint: the prompt has"},
      {[](Proposal& p) { p.prompt.clear_source(); }, "lint: the prompt has no source"},
      {[](Proposal& p) { p.commit.sha = "abc"; }, "lint: the provenance names no commit"},
      {[](Proposal& p) { p.commit.parents.clear(); }, "lint: the provenance names no parent"},
      {[](Proposal& p) { p.commit.author_time_s = 0; }, "lint: the provenance has no time"},
      {[](Proposal& p) { p.licence.clear_spdx_id(); }, "lint: the licence is missing"},
      {[](Proposal& p) { p.gold_patch.clear(); }, "lint: the fix changes nothing but tests"},
      {[](Proposal& p) { p.gold_patch.append(50 << 20, 'x'); }, "lint: the fix has 524"},
      {[](Proposal& p) { p.test_files.clear(); }, "lint: the fix changes no test file"},
      {[](Proposal& p) { p.test_files = {"tests/b.t"}; }, "lint: the overlay lacks"},
      {[](Proposal& p) { p.parent_tree = {}; }, "lint: the repository is empty"},
      {[](Proposal& p) {
         Add(p, "tests/big", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
       },
       "lint: tests/big is a Git LFS pointer"},
  };
  for (const auto& [damage, reason] : cases) EXPECT_THAT(Reason(damage), StartsWith(reason));
}

TEST(LintGateTest, SecretsAreFoundInPromptPatchAndNewTestsButNeverPrinted) {
  EXPECT_EQ(Reason([](Proposal& p) { p.prompt.set_text("Use " + AwsKey() + "."); }),
            "lint: the prompt holds an AWS access key");
  EXPECT_EQ(Reason([](Proposal& p) { p.gold_patch += "+token = '" + GithubToken() + "'\n"; }),
            "lint: the fix holds a GitHub token");
  EXPECT_EQ(Reason([](Proposal& p) { p.gold_patch += "-token = '" + GithubToken() + "'\n"; }), "")
      << "what a fix removes is in the repository anyway";
  EXPECT_EQ(Reason([](Proposal& p) { Add(p, "tests/key.pem", PrivateKey()); }),
            "lint: tests/key.pem holds a private key");
}

TEST(LintGateTest, PathsOfThisMachineAreFound) {
  const auto mention = [](Proposal& p) { p.prompt.set_text("See /srv/mine/attrs/a.py, please"); };
  EXPECT_EQ(Reason(mention, {"/srv/mine/attrs/"}), "lint: the prompt names a path of this machine");
  EXPECT_EQ(Reason(mention, {"/srv/mine/att"}), "");
  EXPECT_EQ(Reason(mention, {"/srv", "relative"}), "") << "too short to mean anything";
  const passwd* user = ::getpwuid(::getuid());
  if (user != nullptr && std::string(user->pw_dir).starts_with("/home/")) {
    const std::string home = user->pw_dir;
    EXPECT_THAT(Reason([&](Proposal& p) { p.prompt.set_text("in " + home + "/x"); }),
                HasSubstr("a path of this machine"));
  }
  EXPECT_EQ(Reason([](Proposal& p) { p.prompt.set_text("File /home/alice/x.py, line 3"); }), "")
      << "a reporter's path is no path of ours";
}

TEST(SecretsTest, ExamplesAndLookalikesAreNone) {
  EXPECT_EQ(FindSecret(std::string("AKIA") + "IOSFODNN7EXAMPLE"), "");
  EXPECT_EQ(FindSecret("ghp_" + std::string(36, 'x')), "");
  EXPECT_EQ(FindSecret("x" + AwsKey()), "");
  EXPECT_EQ(FindSecret("ghp_short"), "");
  EXPECT_EQ(FindSecret("expects '-----BEGIN PRIVATE KEY-----' in front"), "");
  EXPECT_EQ(FindSecret(GithubToken()), "a GitHub token");
  EXPECT_EQ(FindSecret(PrivateKey()), "a private key");
}

}  // namespace
}  // namespace taskmint::verifier
