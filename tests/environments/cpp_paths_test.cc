#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "environments/repository/cpp/paths.h"
#include "environments/repository/cpp/session.h"
#include "environments/repository/cpp/test_id.h"
#include "tests/environments/cpp_fixture.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const LanguageDriver& DriverOf(const std::vector<std::string>& paths) {
  for (const LanguageDriver* driver : Drivers()) {
    if (driver->Detect(paths)) return *driver;
  }
  return *FindDriver("python");
}

TEST(CppPathsTest, HelperScriptsMakeNoPythonRepositoryAndPackagingDoes) {
  const std::vector<std::string> cpp = {"CMakeLists.txt", "include/a.hpp", "src/a.cpp",
                                        "scripts/single.py"};
  EXPECT_EQ(DriverOf(cpp).language(), "cpp");
  std::vector<std::string> extension = cpp;
  extension.push_back("pyproject.toml");
  EXPECT_EQ(DriverOf(extension).language(), "python");
  EXPECT_EQ(DriverOf({"CMakeLists.txt", "a.py", "b.py", "c.cpp"}).language(), "python");
  EXPECT_EQ(DriverOf({"Makefile", "cJSON.c", "cJSON.h"}).language(), "cpp");
  EXPECT_FALSE(FindDriver("cpp")->Detect({"src/a.cpp", "docs/CMakeLists.txt"}));
}

TEST(CppPathsTest, RolesFollowFoldersNamesAndWhatSteersTheBuild) {
  const std::map<std::string, PathRole> roles = {
      {"include/CLI/App.hpp", PathRole::kSource},
      {"src/node.cpp", PathRole::kSource},
      {"cJSON.c", PathRole::kSource},
      {"config.h.in", PathRole::kSource},
      {"tests/AppTest.cpp", PathRole::kTest},
      {"tests/data/a.json", PathRole::kTest},
      {"src/node_test.cc", PathRole::kTest},
      {"test.c", PathRole::kTest},
      {"src/latest.cpp", PathRole::kSource},
      {"CMakeLists.txt", PathRole::kSteering},
      {"tests/CMakeLists.txt", PathRole::kSteering},
      {"cmake/Find.cmake", PathRole::kSteering},
      {"Makefile", PathRole::kSteering},
      {"CMakePresets.json", PathRole::kSteering},
      {"include/a.hpp.gch", PathRole::kSteering},
      {"examples/main.cpp", PathRole::kOther},
      {"README.md", PathRole::kOther},
  };
  for (const auto& [path, role] : roles) EXPECT_EQ(CppRoleOf(path), role) << path;
  EXPECT_TRUE(IsCppTestFile("test/node/node_test.cpp"));
  EXPECT_FALSE(IsCppTestFile("test/googletest-1.16.0/googletest/src/gtest.cc"));
  EXPECT_FALSE(IsCppTestFile("tests/app_helper.hpp"));
}

TEST(CppPathsTest, WhatWouldStandBeforeTheFrameworkOrTheStandardLibraryIsForeign) {
  const FileTree reference = TreeOf({{"CMakeLists.txt", ""}, {"include/a.h", ""}});
  FileTree solution = reference;
  for (const char* path :
       {"include/gtest/gtest.h", "include/catch.hpp", "include/cassert", "include/string.h",
        "include/a.h.gch", "cmake/x.cmake", "CTestCustom.cmake", "include/b.h"}) {
    ASSERT_TRUE(solution.Set(path, RegularFile("x")).ok());
  }
  EXPECT_THAT(
      CppForeignSteering(solution, reference),
      ElementsAre("CTestCustom.cmake", "cmake/x.cmake", "include/a.h.gch", "include/cassert",
                  "include/catch.hpp", "include/gtest/gtest.h", "include/string.h"));
  EXPECT_THAT(CppForeignSteering(reference, reference), IsEmpty());
}

TEST(CppPathsTest, AReleaseOfTheRepositoryIsHiddenAndTheSystemIsNot) {
  const FileTree tree = TreeOf({{"include/CLI/App.hpp", ""},
                                {"src/sys/own.h", ""},
                                {"cJSON.h", ""},
                                {"tests/catch.hpp", ""},
                                {"src/string.h", ""}});
  EXPECT_THAT(InstalledReleases(tree),
              ElementsAre("/usr/include/CLI", "/usr/include/cJSON", "/usr/include/cJSON.h",
                          "/usr/include/cjson", "/usr/include/cli"));
}

TEST(CppPathsTest, IdsOfCasesNameTheirProgramAndThoseWithoutAreCoarse) {
  const CTestIds ids;
  EXPECT_EQ(ids.Id("", "run", "Suite.Case"), "run/Suite.Case");
  EXPECT_EQ(ids.Id("", "a/b", "std::string: x/y"), "a%2Fb/std::string: x/y");
  EXPECT_EQ(ids.Id("", "", "a/b"), "a%2Fb");
  EXPECT_EQ(ids.Id("tests/a.cpp", "", ""), "tests/a.cpp");
  EXPECT_TRUE(FindDriver("cpp")->IsCoarse("a%2Fb"));
  EXPECT_FALSE(FindDriver("cpp")->IsCoarse("run/Suite.Case"));
  EXPECT_FALSE(FindDriver("python")->IsCoarse("tests"));
}

TEST(CppPathsTest, OfACTestCommandOnlyTheChoiceOfTestsCounts) {
  EXPECT_THAT(*ArgumentsOfCTest("ctest -j4 -E slow --output-on-failure -L unit"),
              ElementsAre("-E", "slow", "-L", "unit"));
  EXPECT_THAT(*ArgumentsOfCTest("ctest"), IsEmpty());
  EXPECT_FALSE(ArgumentsOfCTest("make test").has_value());
  EXPECT_FALSE(ArgumentsOfCTest("ctest; true").has_value());
}

TEST(CppPathsTest, SentinelsAreDrawnAfreshInTheFrameworkOfTheGradedFiles) {
  const LanguageDriver& cpp = *FindDriver("cpp");
  const FileTree overlay = TreeOf(BoundsLibrary(kRightClamp));
  std::set<std::string> paths;
  for (uint64_t draw = 0; draw < 20; ++draw) {
    int passed = 0, failed = 0;
    for (const SentinelFile& file : cpp.DrawSentinels(overlay, {"tests/clamp_test.cpp"}, draw)) {
      EXPECT_FALSE(overlay.Contains(file.path));
      EXPECT_TRUE(paths.insert(file.path).second) << file.path;
      for (const auto& [id, status] : file.expected) {
        EXPECT_FALSE(cpp.IsCoarse(id)) << id;
        passed += status == "passed" ? 1 : 0;
        failed += status == "failed" ? 1 : 0;
      }
    }
    EXPECT_GT(passed, 0);
    EXPECT_GT(failed, 0);
  }
  std::set<std::string> statuses;
  for (const SentinelFile& file : cpp.DrawSentinels(overlay, {"tests/plain_test.cpp"}, 1)) {
    for (const auto& [id, status] : file.expected) statuses.insert(status);
  }
  EXPECT_THAT(statuses, ElementsAre("error", "failed", "passed"));
  EXPECT_THAT(cpp.DrawSentinels(overlay, {"tests/gone.cpp"}, 1), IsEmpty());
}

}  // namespace
}  // namespace taskmint::environments
