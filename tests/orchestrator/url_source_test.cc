// Sources behind a URL, with the real binary: when they are fetched again.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "tests/environments/git_fixture.h"
#include "tests/environments/http_server.h"
#include "tests/orchestrator/command_process.h"

namespace taskmint::orchestrator {
namespace {

// A repository of which a copy is served.
class UrlSourceTest : public testing::Test {
 protected:
  UrlSourceTest() {
    tree_.Write("pyproject.toml", "[project]\nname = \"toy\"\nversion = \"1\"\n");
    tree_.Commit("Begin");
    tree_.Git("clone -q --bare . ../served.git");
    server_.emplace(tree_.folder(), "");
    url_ = server_->Url("", "/served.git");
  }
  void Publish(const std::string& message) {
    const std::string line = "x = " + std::to_string(++published_) + "\n";
    tree_.Write("toy.py", line);
    tree_.Write("tests/test_toy.py", line);
    tree_.Commit(message);
    tree_.Git("push -q ../served.git main");
    tree_.Run("cd ../served.git && git update-server-info");
  }
  // How many candidates the run has. Packages cannot be had: nobody listens at that port.
  int64_t Candidates(int expected_code) {
    outcome_ =
        Taskmint({"synth", "code", "--repo", url_, "--store", tree_.folder() + "/store", "--json"},
                 {{"UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/"},
                  {"UV_INDEX_URL", ""},
                  {"UV_FIND_LINKS", ""}});
    EXPECT_EQ(outcome_.code, expected_code) << outcome_.errors;
    const nlohmann::json sources = outcome_.Json()["sources"];
    return sources.empty() ? -1 : sources[0].value("candidates", int64_t{-1});
  }

  environments::WorkTree tree_;
  std::optional<environments::HttpServer> server_;
  std::string url_;
  int published_ = 0;
  CommandOutcome outcome_;
};

TEST_F(UrlSourceTest, IsFetchedAgainWhenItsRunIsFinished) {
  Publish("wip");
  EXPECT_EQ(Candidates(3), 1);
  Publish("more");
  EXPECT_EQ(Candidates(3), 2);
  server_.reset();
  EXPECT_EQ(Candidates(3), 2);
  EXPECT_NE(outcome_.errors.find(url_ + ": not refreshed"), std::string::npos) << outcome_.errors;
}

TEST_F(UrlSourceTest, StaysAsItIsWhileItsRunGoesOn) {
  Publish("Count from one instead of zero, which is what people expect of a counter");
  EXPECT_EQ(Candidates(1), 1);
  Publish("wip");
  EXPECT_EQ(Candidates(1), 1);
}

}  // namespace
}  // namespace taskmint::orchestrator
