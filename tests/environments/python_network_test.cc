// What the index and the network do to environments of the Python driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "tests/environments/index_server.h"
#include "tests/environments/python_installation_fixture.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using PythonNetworkTest = PythonInstallationTest;

TEST_F(PythonNetworkTest, ASetUpScriptThatSpeaksOfTheNetworkFailsByItself) {
  settings_.add_build_hosts("files.example:443");
  const FileTree tree = TreeOf({{"pyproject.toml", kTestPackage}, {"bounds.py", ""}});
  const auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  const auto build = [&](const std::string& said) {
    settings_.set_setup_script("echo \"" + said + "\" >&2; exit 1");
    return PythonUnderTest().Build(Context(*host_), *recipe, tree, settings_, {}).status();
  };
  for (const char* said :
       {"timed out: tunnel", "Could not connect, dns error: HTTP status server error",
        "error sending request for url (https:/files.example/a)"}) {
    EXPECT_EQ(build(said).code(), Code::kFailedPrecondition) << build(said).ToString();
  }
  const Status other = build("error sending request for url (https://other.example/a)");
  EXPECT_EQ(other.code(), Code::kFailedPrecondition) << other.ToString();
  EXPECT_THAT(other.message(), HasSubstr("build_hosts"));
  for (const char* said :
       {"error sending request for url (https://files.example/a)",
        "  cause: HTTP status server error (502 Bad Gateway) for url\n  (https://files.example/)",
        "unable to access 'https://files.example/x.git/': CONNECT tunnel failed, response 502",
        "HTTPSConnectionPool(host='files.example', port=443): Max retries exceeded with url: /"}) {
    EXPECT_EQ(build(said).code(), Code::kUnavailable) << build(said).ToString();
  }
}

TEST_F(PythonNetworkTest, WhatTheIndexDoesNotServeIsNoAbsentNetwork) {
  AddWheel("stone", "1.0", R"({"stone.py": ""})", "", "2020-01-01");
  const IndexServer server(index_);
  UseIndex(server.port);
  const auto needs = [](const std::string& line) {
    return TreeOf(
        {{"pyproject.toml", std::string(kTestPackage) + "dependencies = [\"" + line + "\"]\n"},
         {"bounds.py", ""}});
  };
  settings_.add_packages("stone @ https://stones.example/stone-1.0.tar.gz");
  const auto elsewhere = Resolve(needs("pytest"));
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_EQ(elsewhere.status().code(), Code::kFailedPrecondition) << elsewhere.status().ToString();
  EXPECT_THAT(elsewhere.status().message(), HasSubstr("stones.example:443"));
  EXPECT_THAT(elsewhere.status().message(), HasSubstr("build_hosts"));
  settings_.clear_packages();
  const auto recipe = Resolve(needs("stone"));
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  fs::remove(index_ + "/stone-1.0-py3-none-any.whl");
  const auto gone =
      PythonUnderTest().Build(Context(*host_), *recipe, needs("stone"), settings_, {});
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.status().code(), Code::kFailedPrecondition) << gone.status().ToString();
  EXPECT_THAT(gone.status().message(), HasSubstr("answers 404"));
}

TEST_F(PythonNetworkTest, ANetworkThatIsAwayIsSaid) {
  UseIndex(9);
  auto recipe = Resolve(TreeOf({{"a.py", ""}}));
  ASSERT_FALSE(recipe.ok());
  EXPECT_EQ(recipe.status().code(), Code::kUnavailable);
  EXPECT_THAT(recipe.status().message(), HasSubstr("no network"));
  EXPECT_THAT(recipe.status().message(), HasSubstr("127.0.0.1:9"));
}

TEST_F(PythonNetworkTest, ANetworkThatGoesAwayWhileAPackageIsBuiltIsSaid) {
  const FileTree tree = TreeOf({{"pyproject.toml", kTestPackage}, {"bounds.py", ""}});
  EnvironmentRecipe recipe;
  {
    const IndexServer server(index_);
    UseIndex(server.port);
    auto resolved = Resolve(tree);
    ASSERT_TRUE(resolved.ok()) << resolved.status().ToString();
    recipe = *std::move(resolved);
    Build(recipe, tree);  // fetches the wheels
  }
  const std::string sources = folder_.path() + "/stone-1.0";
  WriteTree(TreeOf({{"pyproject.toml",
                     "[build-system]\nrequires = [\"setuptools\"]\n"
                     "build-backend = \"setuptools.build_meta\"\n"},
                    {"PKG-INFO", "Metadata-Version: 2.2\nName: stone\nVersion: 1.0\n"}}),
            sources);
  const std::string pack =
      "cd '" + folder_.path() + "' && tar czf stone-1.0.tar.gz stone-1.0 && mkdir -p '";
  const std::string digest(64, 'a');
  const std::string kept = folder_.path() + "/cache/python/files/" + digest;
  ASSERT_EQ(std::system((pack + kept + "' && mv stone-1.0.tar.gz '" + kept + "'").c_str()), 0);
  auto json = *ParseJson(recipe.recipe);
  json["packages"].push_back({{"name", "stone"},
                              {"version", "1.0"},
                              {"kind", "sdist"},
                              {"file", "stone-1.0.tar.gz"},
                              {"url", ""},
                              {"sha256", digest}});
  json["date"] = "2024-06-11";
  recipe.recipe = DumpJson(json);
  const auto built = PythonUnderTest().Build(Context(*host_), recipe, tree, settings_, {});
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.status().code(), Code::kUnavailable) << built.status().ToString();
  EXPECT_THAT(built.status().message(), HasSubstr("no network"));
}

TEST_F(PythonNetworkTest, DependenciesAreAsOfTheCommitsDate) {
  AddWheel("stone", "1.0", R"({"stone.py": ""})", "", "2020-01-01");
  AddWheel("stone", "2.0", R"({"stone.py": ""})", "", "2024-06-01");
  AddWheel("stone", "3.0", R"({"stone.py": ""})", "", "2024-07-01");
  const IndexServer server(index_);
  UseIndex(server.port);
  const FileTree tree =
      TreeOf({{"pyproject.toml", std::string(kTestPackage) + "dependencies = [\"stone\"]\n"},
              {"bounds.py", ""}});
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  EXPECT_THAT(recipe->description, HasSubstr("stone==2.0"));
  auto early = Resolve(tree, 1'600'000'000);
  ASSERT_TRUE(early.ok()) << early.status().ToString();
  EXPECT_THAT(early->description, HasSubstr("stone==1.0"));
  EXPECT_NE(early->key, recipe->key);
  EXPECT_TRUE(Has(Build(*recipe, tree), "/stone-2.0.dist-info/METADATA"));
  // Once fetched, a build needs no network.
  ::setenv("UV_NO_INDEX", "1", 1);
  EXPECT_TRUE(Has(Build(*recipe, tree), "/stone-2.0.dist-info/METADATA"));
}

}  // namespace
}  // namespace taskmint::environments
