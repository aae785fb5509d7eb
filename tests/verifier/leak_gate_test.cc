// The leak gate in a real sandbox.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/environments/forwarding_sandbox.h"
#include "tests/verifier/fake_driver.h"
#include "verifier/gate.h"

namespace taskmint::verifier {
namespace {

using testing::HasSubstr;

constexpr char kBefore[] = "def turn(widget):\n    angle = widget.angle\n    return angle + 1\n";
constexpr char kAfter[] =
    "def turn(widget):\n    angle = widget.angle\n    if widget.pushed_by_taskmint:\n"
    "        angle = -angle * widget.taskmint_factor\n    return angle + 1\n";
constexpr char kSha[] = "0123456789abcdef0123456789abcdef01234567";

class LeakGateTest : public testing::Test {
 protected:
  LeakGateTest() {
    auto host = sandbox::MakeBubblewrapHost();
    EXPECT_TRUE(host.ok()) << host.status().ToString();
    if (host.ok()) host_ = std::move(*host);
    std::string pattern = testing::TempDir() + "leakXXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    ::chmod(folder_.c_str(), 0755);
    proposal_.commit.sha = kSha;
    proposal_.parent_tree = Tree({{"src/w.py", kBefore}});
    proposal_.gold_tree = Tree({{"src/w.py", kAfter}});
    proposal_.prompt.set_text("The widget turns the wrong way when it is pushed. See #12.");
    proposal_.prompt.set_source(v1::Prompt::SOURCE_ISSUE);
    proposal_.issue_numbers = {12};
  }
  ~LeakGateTest() override { std::filesystem::remove_all(folder_); }

  // A layer at /layer that holds one file.
  void ShowLayer(const std::string& path, const std::string& content) {
    const std::filesystem::path file = std::filesystem::path(folder_) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
    mounts_ = {{folder_, "/layer", false}};
  }
  GateResult Gate() const {
    return LeakGate({driver_, *host_, {}, {mounts_}, {}, {}, {}}, proposal_, {});
  }
  std::string Reason() const { return RejectionReason(Gate().evidence); }

  FakeDriver driver_;
  std::unique_ptr<sandbox::SandboxHost> host_;
  std::string folder_;
  std::vector<sandbox::Mount> mounts_;
  environments::Proposal proposal_;
};

TEST_F(LeakGateTest, AnAnswerThatIsNowhereIsFoundNowhere) {
  const GateResult result = Gate();
  EXPECT_EQ(result.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << result.evidence.detail();
  EXPECT_GT(result.evidence.values().at("windows"), 0);
  EXPECT_EQ(result.evidence.values().at("sandboxes"), 1);
}

TEST_F(LeakGateTest, AFixedReleaseInALayerIsFoundInside) {
  ShowLayer("lib/site-packages/widget/w.py", std::string("# 2.0\n") + kAfter);
  EXPECT_EQ(Reason(), "leak: the fixed code can be read at /layer/lib/site-packages/widget/w.py");
  ShowLayer("lib/site-packages/widget/w.py", kBefore);
  EXPECT_EQ(Reason(), "");
}

TEST_F(LeakGateTest, GitFoldersAndPackageCachesAreFound) {
  ShowLayer("x/.git/HEAD", "ref: refs/heads/main\n");
  EXPECT_EQ(Reason(), "leak: the sandbox shows /layer/x/.git");
  std::filesystem::remove_all(folder_ + "/x");
  ShowLayer("home/.cache/uv/wheel", "x");
  EXPECT_EQ(Reason(), "leak: the sandbox shows /layer/home/.cache/uv");
}

TEST_F(LeakGateTest, TheRepositoryIsSearchedAsATree) {
  proposal_.parent_tree = Tree({{"src/w.py", kBefore}, {"build/lib/w.py", kAfter}});
  EXPECT_EQ(Reason(), "leak: the repository holds the fixed code: build/lib/w.py");
  proposal_.parent_tree = Tree({{"src/w.py", kBefore}, {"vendor/.git/HEAD", "x"}});
  EXPECT_THAT(Reason(), HasSubstr("git objects: vendor/.git/HEAD"));
}

TEST_F(LeakGateTest, APromptThatTellsTheFixIsFound) {
  const auto with_prompt = [&](const std::string& text) {
    proposal_.prompt.set_text(text);
    return Reason();
  };
  EXPECT_EQ(with_prompt("Fixed in 0123456789AB."), "leak: the prompt names the fix's commit");
  EXPECT_EQ(with_prompt("See https://example.org/o/r/pull/12 for it."),
            "leak: the prompt links to the fix");
  EXPECT_EQ(with_prompt("See https://example.org/o/r/pull/123 and issue /issues/12."), "");
  EXPECT_EQ(with_prompt("Try:\n  if widget.pushed_by_taskmint:\n    angle = -angle * "
                        "widget.taskmint_factor\n"),
            "leak: the prompt holds the lines that the fix adds");
  EXPECT_EQ(with_prompt("Nothing but 0123456 is not the version 0.1.2."),
            "leak: the prompt names the fix's commit");
}

TEST_F(LeakGateTest, AMachineThatCannotLookGivesNoVerdict) {
  host_ = std::make_unique<NoSandboxHost>();
  EXPECT_EQ(Reason(), "no-verdict: this host opens no sandboxes");
}

class DyingSandbox final : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  Result<std::string> Get(std::string_view, int64_t) override {
    return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox died");
  }
};

class SearchKillingSandbox final : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  Result<sandbox::CommandResult> Run(const sandbox::Command& command,
                                     std::stop_token stop) override {
    sandbox::Command killed = command;
    // find dies of the kernel's hand; the script goes on.
    killed.argv = {"sh", "-c", "find() { sh -c 'kill -9 $$'; }; . /tmp/hunt"};
    return ForwardingSandbox::Run(killed, stop);
  }
};

TEST_F(LeakGateTest, ASandboxThatBreaksHalfWayGivesNoVerdict) {
  ShowLayer("lib/site-packages/widget/w.py", std::string("# 2.0\n") + kAfter);
  const std::unique_ptr<sandbox::SandboxHost> whole = std::move(host_);
  host_ = std::make_unique<sandbox::ForwardingHost<DyingSandbox>>(*whole);
  EXPECT_THAT(Reason(), HasSubstr("no-verdict: "));
  host_ = std::make_unique<sandbox::ForwardingHost<SearchKillingSandbox>>(*whole);
  EXPECT_THAT(Reason(), HasSubstr("no-verdict: "));
}

}  // namespace
}  // namespace taskmint::verifier
