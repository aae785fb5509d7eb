#include <gtest/gtest.h>

#include <fstream>

#include "orchestrator/job_desk.h"
#include "orchestrator/serving/access_rules.h"
#include "orchestrator/serving/listen_address.h"
#include "tests/environments/git_fixture.h"

namespace taskmint::orchestrator {
namespace {

TEST(ListenAddressTest, TellsLoopbackFromTheRest) {
  for (const char* own :
       {"127.0.0.1:7070", "127.8.9.1:1", "localhost:0", "[::1]:7070", "unix:/run/taskmint.sock"}) {
    const auto address = ParseListenAddress(own);
    ASSERT_TRUE(address.ok()) << own;
    EXPECT_TRUE(address->loopback) << own;
  }
  for (const char* open : {"0.0.0.0:7070", "[::]:7070", "192.168.1.2:7070", "example.org:443",
                           "127.0.0.1.example.org:1", "[::ffff:127.0.0.1]:1"}) {
    const auto address = ParseListenAddress(open);
    ASSERT_TRUE(address.ok()) << open;
    EXPECT_FALSE(address->loopback) << open;
  }
}

TEST(ListenAddressTest, AnythingElseIsRefusedWithAnExample) {
  for (const char* wrong : {"", ":", "7070", "127.0.0.1", "127.0.0.1:", ":7070", "127.0.0.1:x",
                            "127.0.0.1:70700", "::1:7070", "[::1]", "[127.0.0.1]:7", "unix:"}) {
    const auto address = ParseListenAddress(wrong);
    ASSERT_FALSE(address.ok()) << wrong;
    EXPECT_EQ(address.status().code(), Code::kInvalidArgument);
    EXPECT_NE(address.status().message().find("127.0.0.1:7070"), std::string::npos);
  }
}

class AccessTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  static Status Judge(const AccessFiles& files, const std::string& address) {
    return ReadAccessRules(files, *ParseListenAddress(address)).status();
  }
  environments::TemporaryFolder folder_;
};

TEST_F(AccessTest, OffLoopbackNeedsTlsAndANamedCaller) {
  AccessFiles files;
  EXPECT_TRUE(Judge(files, "127.0.0.1:1").ok());
  EXPECT_EQ(Judge(files, "0.0.0.0:1").code(), Code::kInvalidArgument);
  files.token = Write("token", "0123456789abcdef0123\n");
  EXPECT_EQ(Judge(files, "0.0.0.0:1").code(), Code::kInvalidArgument) << "a token in clear text";
  files.tls_certificate = Write("c.pem", "certificate");
  files.tls_key = Write("k.pem", "key");
  EXPECT_TRUE(Judge(files, "0.0.0.0:1").ok());
  files.token.clear();
  EXPECT_EQ(Judge(files, "0.0.0.0:1").code(), Code::kInvalidArgument) << "anybody may call";
  files.tls_client_authority = Write("ca.pem", "authority");
  EXPECT_TRUE(Judge(files, "0.0.0.0:1").ok());
}

TEST_F(AccessTest, WeakAndEqualTokensAreRefused) {
  AccessFiles files;
  for (const char* weak : {"", "short", "0123456789 abcdef0123", "0123456789abc\ndef0123"}) {
    files.token = Write("token", weak);
    EXPECT_EQ(Judge(files, "127.0.0.1:1").code(), Code::kInvalidArgument) << weak;
  }
  files.token = files.reveal_token = Write("token", "0123456789abcdef0123");
  EXPECT_EQ(Judge(files, "127.0.0.1:1").code(), Code::kInvalidArgument);
  files.token = folder_.path() + "/none";
  EXPECT_FALSE(Judge(files, "127.0.0.1:1").ok());
}

TEST_F(AccessTest, ATokenAdmitsAndTheOtherReveals) {
  AccessRules rules;
  EXPECT_TRUE(JudgeCaller(rules, "").admitted);
  EXPECT_FALSE(JudgeCaller(rules, "").may_reveal) << "nobody may where no token says so";
  EXPECT_FALSE(JudgeCaller(rules, "Bearer ").may_reveal);
  rules.token = "aaaaaaaaaaaaaaaaaaaa";
  rules.reveal_token = "bbbbbbbbbbbbbbbbbbbb";
  for (const char* wrong : {"", "aaaaaaaaaaaaaaaaaaaa", "Bearer a", "Bearer aaaaaaaaaaaaaaaaaaaaa",
                            "bearer aaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(JudgeCaller(rules, wrong).admitted) << wrong;
  }
  EXPECT_TRUE(JudgeCaller(rules, "Bearer aaaaaaaaaaaaaaaaaaaa").admitted);
  EXPECT_FALSE(JudgeCaller(rules, "Bearer aaaaaaaaaaaaaaaaaaaa").may_reveal);
  EXPECT_TRUE(JudgeCaller(rules, "Bearer bbbbbbbbbbbbbbbbbbbb").admitted);
  EXPECT_TRUE(JudgeCaller(rules, "Bearer bbbbbbbbbbbbbbbbbbbb").may_reveal);
}

TEST(AllowedUrlTest, IsOneOfThemOrLiesBelow) {
  const std::vector<std::string> allowed = {"https://example.org/team/",
                                            "http://127.0.0.1:8080/one.git"};
  for (const char* url : {"https://example.org/team", "https://EXAMPLE.org/team/a.git",
                          "http://127.0.0.1:8080/one.git"}) {
    EXPECT_TRUE(IsAllowedUrl(url, allowed)) << url;
  }
  for (const char* url :
       {"https://example.org/teams", "https://example.org/", "http://example.org/team/a",
        "https://example.org.evil.org/team/a", "https://example.org@evil.org/team/a",
        "https://example.org/team/../secret", "https://example.org/team/%2e%2e/secret",
        "https://example.org:444/team/a", "file:///etc", "/etc", "ssh://example.org/team/a",
        "https://example.org/team/a?x=1", "https://example.org/team/\na",
        "http://127.0.0.1:8080/one.gitx"}) {
    EXPECT_FALSE(IsAllowedUrl(url, allowed)) << url;
  }
  EXPECT_FALSE(IsAllowedUrl("https://example.org/team", {}));
}

}  // namespace
}  // namespace taskmint::orchestrator
