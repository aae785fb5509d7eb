#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "environments/repository/cpp/installation.h"
#include "tests/environments/cpp_fixture.h"
#include "tests/environments/python_fixture.h"
#include "verifier/junit.h"

namespace taskmint::environments {
namespace {

using sandbox::Ending;
using testing::Contains;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

using Statuses = std::map<std::string, std::string>;

class CppSessionTest : public testing::Test {
 protected:
  CppSessionTest() {
    auto host = sandbox::MakeBubblewrapHost();
    EXPECT_TRUE(host.ok()) << host.status().ToString();
    if (host.ok()) host_ = std::move(*host);
  }

  std::unique_ptr<TestSession> Open(const FileTree& tree) {
    auto session = cpp_.OpenSession(*host_, environment_, {}, tree, {});
    EXPECT_TRUE(session.ok()) << session.status().ToString();
    return std::move(*session);
  }

  // Adds the sentinels of some test files to a run; what is expected of them.
  Statuses AddSentinels(const FileTree& tree, const std::vector<std::string>& files, uint64_t seed,
                        TestRun& run) {
    Statuses expected;
    for (const SentinelFile& file : cpp_.DrawSentinels(tree, files, seed)) {
      EXPECT_TRUE(run.added.Set(file.path, RegularFile(file.content)).ok());
      expected.insert(file.expected.begin(), file.expected.end());
    }
    EXPECT_FALSE(expected.empty());
    return expected;
  }

  static TestRunOutput RunIn(TestSession& session, const TestRun& run) {
    auto output = session.Run(run, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    return output.ok() ? std::move(*output) : TestRunOutput();
  }

  // By id: "passed", "failed", "error" or "skipped".
  Statuses StatusesOf(const TestRunOutput& output) {
    Statuses statuses;
    EXPECT_TRUE(output.junit_xml.has_value()) << output.log;
    const auto report = verifier::ParseJUnit(output.junit_xml.value_or(""));
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    if (!report.ok()) return statuses;
    const auto names = cpp_.NamesOfTests({});
    for (const verifier::JUnitCase& test : report->cases) {
      const char* name = test.status == v1::TEST_STATUS_PASSED    ? "passed"
                         : test.status == v1::TEST_STATUS_FAILED  ? "failed"
                         : test.status == v1::TEST_STATUS_SKIPPED ? "skipped"
                                                                  : "error";
      statuses[names->Id(test.file, test.class_name, test.name)] = name;
    }
    return statuses;
  }

  const LanguageDriver& cpp_ = *FindDriver("cpp");
  std::unique_ptr<sandbox::SandboxHost> host_;
  v1::RepositoryEnvironment environment_;
};

TEST_F(CppSessionTest, RunsTheProgramsOfTheNamedFilesAndTellsTheirCasesApart) {
  const FileTree tree = TreeOf(BoundsLibrary(kWrongClamp));
  const auto session = Open(tree);
  TestRun run;
  run.files = {"tests/clamp_test.cpp"};
  TestRunOutput output = RunIn(*session, run);
  EXPECT_TRUE(output.built) << output.log;
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(StatusesOf(output), UnorderedElementsAre(Pair("clamp/Clamp: low", "passed"),
                                                       Pair("clamp/Clamp: high", "failed"),
                                                       Pair("clamp/Clamp: within", "passed")));
  // The whole suite in the same session, with sentinels, which are gone afterwards.
  run.files.clear();
  Statuses expected;
  expected.merge(AddSentinels(tree, {"tests/clamp_test.cpp"}, 7, run));
  Statuses seen = StatusesOf(RunIn(*session, run));
  for (const auto& [id, status] : expected) {
    EXPECT_EQ(seen[id], status) << id;
    seen.erase(id);
  }
  EXPECT_THAT(seen, Contains(Pair("plain", "passed")));
  EXPECT_EQ(seen.size(), 4U);
  run.added = {};
  EXPECT_EQ(StatusesOf(RunIn(*session, run)), seen);
}

TEST_F(CppSessionTest, ProgramsWithoutAFrameworkGetSentinelsThatAreProgramsOfTheirOwn) {
  const FileTree tree = TreeOf(BoundsLibrary(kRightClamp));
  TestRun run;
  run.files = {"tests/plain_test.cpp"};
  Statuses expected = {{"plain", "passed"}};
  expected.merge(AddSentinels(tree, run.files, 3, run));
  EXPECT_EQ(expected.size(), 4U);
  EXPECT_EQ(StatusesOf(RunIn(*Open(tree), run)), expected);
}

// Most programs hold the tests of many files: of those that are not run nothing is compiled.
TEST_F(CppSessionTest, OfAProgramOfManyFilesOnlyThoseThatAreRunAreMade) {
  auto files = BoundsLibrary(kRightClamp);
  files["tests/main.cpp"] = "#define CATCH_CONFIG_MAIN\n#include \"catch.hpp\"\n";
  const auto part = [](const std::string& name, const std::string& before = "") {
    return "#include \"catch.hpp\"\n#include \"bounds/clamp.h\"\n" + before + "TEST_CASE(\"" +
           name + "\") { CHECK(clamp(1, 2, 3) == 2); }\n";
  };
  files["tests/one.cpp"] = part("one");
  files["tests/two.cpp"] = part("two", "int Three() { return 3; }\n");
  files["tests/broken.cpp"] = part("broken", "int Gone() { return gone; }\n");
  files["tests/needs_two.cpp"] =
      part("needs two", "int Three();\nTEST_CASE(\"three\") { CHECK(Three() == 3); }\n");
  files["CMakeLists.txt"] +=
      "add_executable(many tests/main.cpp tests/one.cpp tests/two.cpp tests/broken.cpp "
      "tests/needs_two.cpp)\ntarget_link_libraries(many bounds)\nadd_test(NAME many COMMAND "
      "many)\n";
  const FileTree tree = TreeOf(files);
  const auto session = Open(tree);
  TestRun run;
  run.files = {"tests/one.cpp"};
  Statuses expected = {{"many/one", "passed"}};
  expected.merge(AddSentinels(tree, run.files, 5, run));
  TestRunOutput output = RunIn(*session, run);
  EXPECT_TRUE(output.built) << output.log;
  EXPECT_EQ(StatusesOf(output), expected);
  // What cannot be linked without the others is made whole.
  run = {};
  run.files = {"tests/needs_two.cpp"};
  output = RunIn(*session, run);
  EXPECT_FALSE(output.built);
  EXPECT_THAT(output.log, HasSubstr("gone"));
  EXPECT_THAT(StatusesOf(output),
              UnorderedElementsAre(Pair("many/one", "passed"), Pair("many/two", "passed"),
                                   Pair("many/three", "passed"), Pair("many/needs two", "passed")));
  // In one session, after the whole.
  run.files = {"tests/one.cpp", "tests/two.cpp"};
  output = RunIn(*session, run);
  EXPECT_TRUE(output.built) << output.log;
  EXPECT_THAT(StatusesOf(output),
              UnorderedElementsAre(Pair("many/one", "passed"), Pair("many/two", "passed")));
}

TEST_F(CppSessionTest, WhatCTestIsToldToRunBeforeAllTestsDoesNotKeepThemFromBeingListed) {
  auto files = BoundsLibrary(kRightClamp);
  files["CMakeLists.txt"] +=
      "file(WRITE ${CMAKE_BINARY_DIR}/CTestCustom.cmake \"set(CTEST_CUSTOM_PRE_TEST /gone)\")\n";
  EXPECT_THAT(StatusesOf(RunIn(*Open(TreeOf(files)), {})), Contains(Pair("plain", "passed")));
}

TEST_F(CppSessionTest, ProgramsThatCTestIsNotToldOfAreFoundByTheirSources) {
  auto files = BoundsLibrary(kWrongClamp);
  std::string& cmake = files["CMakeLists.txt"];
  for (const char* line : {"enable_testing()\n", "add_test(NAME clamp COMMAND clamp_test)\n",
                           "add_test(NAME plain COMMAND plain_test)\n"}) {
    cmake.erase(cmake.find(line), std::string(line).size());
  }
  cmake += "add_executable(latest src/latest.cpp)\n";
  files["src/latest.cpp"] = "int main() { return 1; }\n";
  EXPECT_THAT(StatusesOf(RunIn(*Open(TreeOf(files)), {})),
              UnorderedElementsAre(
                  Pair("clamp_test/Clamp: low", "passed"), Pair("clamp_test/Clamp: high", "failed"),
                  Pair("clamp_test/Clamp: within", "passed"), Pair("plain_test", "passed")));
}

TEST_F(CppSessionTest, WhatDoesNotCompileIsMissingAndTheRestRuns) {
  auto files = BoundsLibrary(kRightClamp);
  files["tests/plain_test.cpp"] = "int main() { return gone(); }\n";
  const TestRunOutput output = RunIn(*Open(TreeOf(files)), {});
  EXPECT_FALSE(output.built);
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.log, HasSubstr("gone"));
  const Statuses seen = StatusesOf(output);
  EXPECT_THAT(seen, Contains(Pair("clamp/Clamp: high", "passed")));
  EXPECT_THAT(seen, Contains(Pair("plain", "error")));

  files["CMakeLists.txt"] = "project(\n";
  const TestRunOutput broken = RunIn(*Open(TreeOf(files)), {});
  EXPECT_FALSE(broken.built);
  EXPECT_FALSE(broken.junit_xml.has_value());
  EXPECT_NE(broken.exit_code, 0);
}

TEST_F(CppSessionTest, ACrashEndsOneProgramAndAHangItsShareOfTheTime) {
  auto files = BoundsLibrary(
      "  if (value == 9) __builtin_trap();\n  for (;value == 5;) {\n"
      "    volatile int wait = 1;\n    (void)wait;\n  }\n  return 2;\n");
  TestRun run;
  run.wall_ms_max = 20'000;
  const TestRunOutput output = RunIn(*Open(TreeOf(files)), run);
  EXPECT_EQ(output.ending, Ending::kExited);
  const Statuses seen = StatusesOf(output);
  EXPECT_THAT(seen, Contains(Pair("clamp/Clamp: high", "failed")));
  EXPECT_THAT(seen, Contains(Pair("plain", "error")));
}

constexpr char kTrapsAtNine[] =
    "  if (value == 9) __builtin_trap();\n  return value > low ? value : low;\n";

// A fix may mend a crash: without it each test must still have a verdict of its own.
TEST_F(CppSessionTest, WhatCrashesFailsAndTakesNoOthersVerdict) {
  const auto files =
      BoundsLibrary(kTrapsAtNine,
                    "TEST_CASE(\"Clamp: high, again\") { clamp(9, 1, 2); }\n"
                    "#include <stdlib.h>\nTEST_CASE(\"Clamp: leaves\") { exit(0); }\n"
                    "TEST_CASE(\"Clamp: last\") { CHECK(clamp(1, 1, 2) == 2); }\n");
  const FileTree tree = TreeOf(files);
  TestRun run;
  run.files = {"tests/clamp_test.cpp"};
  Statuses expected = {{"clamp/Clamp: low", "passed"},    {"clamp/Clamp: high", "failed"},
                       {"clamp/Clamp: within", "passed"}, {"clamp/Clamp: high, again", "failed"},
                       {"clamp/Clamp: leaves", "failed"}, {"clamp/Clamp: last", "failed"}};
  expected.merge(AddSentinels(tree, run.files, 11, run));
  EXPECT_EQ(StatusesOf(RunIn(*Open(tree), run)), expected);
  run.shuffle_seed = 3;
  EXPECT_EQ(StatusesOf(RunIn(*Open(tree), run)), expected);
}

// What one case leaves behind is what ends another: neither can be told to be at fault.
TEST_F(CppSessionTest, ACaseThatCrashesOnlyBehindAnotherTakesTheProgramWithIt) {
  const FileTree tree =
      TreeOf(BoundsLibrary(kRightClamp,
                           "int before;\nTEST_CASE(\"Clamp: sets\") { before = 1; }\n"
                           "TEST_CASE(\"Clamp: needs\") { if (before) __builtin_trap(); }\n"));
  const Statuses seen = StatusesOf(RunIn(*Open(tree), {}));
  EXPECT_THAT(seen, Contains(Pair("clamp", "error")));
  EXPECT_THAT(seen, Contains(Pair("clamp/Clamp: low", "error")));
}

TEST_F(CppSessionTest, AProgramThatIsOverwrittenByAnotherIsInError) {
  auto files = BoundsLibrary(kRightClamp,
                             "#include <stdlib.h>\nTEST_CASE(\"Clamp: others\", \"\") {\n"
                             "  CHECK(system(\"cp /bin/true /build/plain_test\") == 0);\n}\n");
  const auto session = Open(TreeOf(files));
  const Statuses seen = StatusesOf(RunIn(*session, {}));
  EXPECT_THAT(seen, Contains(Pair("clamp/Clamp: others", "passed")));
  EXPECT_THAT(seen, Contains(Pair("plain", "error")));
}

TEST_F(CppSessionTest, ObjectsOfTheLayerAreMadeWhereItIsUnpackedAndUsed) {
  if (!BaseHasCcache()) GTEST_SKIP() << "no ccache";
  const FileTree tree = TreeOf(BoundsLibrary(kRightClamp));
  const DriverContext context{*host_, {"digest", "base"}, "/nonexistent"};
  const auto recipe = cpp_.Resolve(context, tree, 0, {}, {});
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  const auto layers = cpp_.Build(context, *recipe, tree, {}, {});
  ASSERT_TRUE(layers.ok() && layers->size() == 1);
  const TestFolder folder;
  WriteTree(layers->front().tree, folder.path());
  const sandbox::Mount layer{folder.path(), layers->front().mount_path, false};
  const auto objects = cpp_.DerivedFiles(*host_, layer, {});
  ASSERT_TRUE(objects.ok()) << objects.status().ToString();
  EXPECT_GE(objects->size(), 6U);  // of three sources, with what tells whether they fit
  WriteTree(*objects, folder.path());
  BuiltEnvironment built{{layer}};
  auto session = cpp_.OpenSession(*host_, environment_, built, tree, {});
  ASSERT_TRUE(session.ok()) << session.status().ToString();
  EXPECT_THAT(StatusesOf(RunIn(**session, {})), Contains(Pair("clamp/Clamp: high", "passed")));
}

// As a build without us would say: "multiple definition".
TEST_F(CppSessionTest, WhatIsDefinedTwiceIsNotLinkedWithSentinelsOrWithout) {
  auto files = BoundsLibrary(kRightClamp);
  files["include/bounds/clamp.h"] += "int Doubled(int value) { return 2 * value; }\n";
  files["tests/other.cpp"] =
      "#include \"catch.hpp\"\n#include \"bounds/clamp.h\"\nTEST_CASE(\"other\") { "
      "CHECK(Doubled(2) == 4); }\n";
  files["CMakeLists.txt"] += "target_sources(clamp_test PRIVATE tests/other.cpp)\n";
  const FileTree tree = TreeOf(files);
  for (const std::vector<std::string>& graded :
       {std::vector<std::string>{"tests/clamp_test.cpp"},
        std::vector<std::string>{"tests/clamp_test.cpp", "tests/other.cpp"}}) {
    TestRun run;
    run.files = graded;
    for (const SentinelFile& file : cpp_.DrawSentinels(tree, graded, 5)) {
      ASSERT_TRUE(run.added.Set(file.path, RegularFile(file.content)).ok());
    }
    const TestRunOutput output = RunIn(*Open(tree), run);
    for (const auto& [id, status] : StatusesOf(output)) EXPECT_NE(status, "passed") << id;
    EXPECT_THAT(output.log, HasSubstr("multiple definition"));
  }
}

// What a header defines that one file includes is no error to the repository; what it has run after
// a program is linked, such as copying files, is run by whoever links it in its stead.
TEST_F(CppSessionTest, WhatARepositoryLinksIsLinkedWithSentinels) {
  auto files = BoundsLibrary(kRightClamp);
  files["include/bounds/clamp.h"] += "int Doubled(int value) { return 2 * value; }\n";
  files["src/clamp.cpp"].replace(0, files["src/clamp.cpp"].find('\n'),
                                 "int clamp(int value, int low, int high);");
  files["tests/main.cpp"] = "#define CATCH_CONFIG_MAIN\n#include \"catch.hpp\"\n";
  files["tests/reading.cpp"] =
      "#include \"catch.hpp\"\nint Helping() { return 1; }\nTEST_CASE(\"reading\") { "
      "FILE* file = fopen(\"read.txt\", \"r\"); CHECK(file != nullptr); }\n";
  files["tests/other.cpp"] = "#include \"catch.hpp\"\nTEST_CASE(\"other\") { CHECK(true); }\n";
  files["CMakeLists.txt"] +=
      "add_executable(copying tests/main.cpp tests/reading.cpp tests/other.cpp)\n"
      "add_custom_command(TARGET copying POST_BUILD COMMAND ${CMAKE_COMMAND} -E copy "
      "${CMAKE_SOURCE_DIR}/CMakeLists.txt ${CMAKE_BINARY_DIR}/read.txt)\n"
      "add_test(NAME copying COMMAND copying)\n";
  const FileTree tree = TreeOf(files);
  TestRun run;
  run.files = {"tests/clamp_test.cpp", "tests/reading.cpp"};
  Statuses expected = {{"clamp/Clamp: low", "passed"},
                       {"clamp/Clamp: high", "passed"},
                       {"clamp/Clamp: within", "passed"},
                       {"copying/reading", "passed"}};
  expected.merge(AddSentinels(tree, run.files, 5, run));
  EXPECT_EQ(StatusesOf(RunIn(*Open(tree), run)), expected);
}

// Where files are left out, what a header defines twice over is seen by linking the whole program.
TEST_F(CppSessionTest, OfAProgramOfWhichFilesAreLeftOutTheWholeDecides) {
  auto files = BoundsLibrary(kRightClamp);
  files["src/clamp.cpp"].replace(0, files["src/clamp.cpp"].find('\n'),
                                 "int clamp(int value, int low, int high);");
  files["include/bounds/clamp.h"] +=
      "#include <vector>\n#line 1 \"/usr/include/other.h\"\n"
      "int Doubled(int value) { return 2 * value; }\nstd::vector<int> table{1, 2, 3};\n";
  files["tests/main.cpp"] = "#define CATCH_CONFIG_MAIN\n#include \"catch.hpp\"\n";
  files["tests/one.cpp"] =
      "#include \"catch.hpp\"\n#include \"bounds/clamp.h\"\nTEST_CASE(\"one\") { "
      "CHECK(Doubled(table[0]) == 2); }\n";
  files["tests/two.cpp"] = "#include \"catch.hpp\"\nTEST_CASE(\"two\") { CHECK(true); }\n";
  files["CMakeLists.txt"] +=
      "add_executable(many tests/main.cpp tests/one.cpp tests/two.cpp)\n"
      "target_link_libraries(many bounds)\nadd_test(NAME many COMMAND many)\n";
  const FileTree tree = TreeOf(files);
  TestRun run;
  run.files = {"tests/one.cpp"};
  Statuses expected = {{"many/one", "passed"}, {"many/two", "passed"}};
  expected.merge(AddSentinels(tree, run.files, 5, run));
  EXPECT_EQ(StatusesOf(RunIn(*Open(tree), run)), expected);
  files["tests/two.cpp"] = "#include \"bounds/clamp.h\"\n" + files["tests/two.cpp"];
  for (const auto& [id, status] : StatusesOf(RunIn(*Open(TreeOf(files)), run))) {
    EXPECT_NE(status, "passed") << id;
  }
}

// A program that is run when it has been linked is the state's own code: it sees no sentinel, and
// what it changes of the build costs the state its tests.
TEST_F(CppSessionTest, NothingThatABuildRunsComesNearASentinel) {
  auto files = BoundsLibrary(kRightClamp);
  files["CMakeLists.txt"] +=
      "add_custom_command(TARGET clamp_test POST_BUILD COMMAND clamp_test)\n";
  const FileTree honest = TreeOf(files);
  TestRun run;
  run.files = {"tests/clamp_test.cpp"};
  Statuses expected = {{"clamp/Clamp: low", "passed"},
                       {"clamp/Clamp: high", "passed"},
                       {"clamp/Clamp: within", "passed"}};
  const Statuses sentinels = AddSentinels(honest, run.files, 5, run);
  expected.insert(sentinels.begin(), sentinels.end());
  EXPECT_EQ(StatusesOf(RunIn(*Open(honest), run)), expected);
  files["src/clamp.cpp"] +=
      "#include <stdio.h>\nstruct Early { Early() { if (FILE* file = "
      "fopen(\"/build/compile_commands.json\", \"a\")) { fputs(\" \", file); fclose(file); } } } "
      "early;\n";
  const auto session = Open(TreeOf(files));
  for (int again = 0; again < 2; ++again) {
    const TestRunOutput output = RunIn(*session, run);
    EXPECT_THAT(output.log, HasSubstr("the build changed how it is built"));
    const Statuses seen = StatusesOf(output);
    for (const auto& [id, status] : sentinels) EXPECT_EQ(seen.count(id), 0U) << id;
  }
}

// Frameworks that repositories brought along before glibc 2.34 and GCC 13.
TEST_F(CppSessionTest, SourcesOfAnEarlierDayAreCompiled) {
  auto files = BoundsLibrary("  static_assert(sizeof(uint8_t) == 1);\n" + std::string(kRightClamp));
  files["tests/catch.hpp"] +=
      "#include <signal.h>\n#ifndef CATCH_CONFIG_NO_POSIX_SIGNALS\n"
      "static char altStackMem[SIGSTKSZ];\n#endif\n";
  const TestRunOutput output = RunIn(*Open(TreeOf(files)), {});
  EXPECT_TRUE(output.built) << output.log;
  EXPECT_THAT(StatusesOf(output), Contains(Pair("clamp/Clamp: high", "passed")));
}

TEST_F(CppSessionTest, AProgramThatCrashesBehindItsTestsPassesNone) {
  auto files = BoundsLibrary(std::string(kRightClamp),
                             "#include <stdlib.h>\nstruct Late { ~Late() { abort(); } } late;\n");
  TestRun run;
  run.files = {"tests/clamp_test.cpp"};
  const TestRunOutput output = RunIn(*Open(TreeOf(files)), run);
  EXPECT_THAT(
      StatusesOf(output),
      UnorderedElementsAre(Pair("clamp/Clamp: low", "error"), Pair("clamp/Clamp: high", "error"),
                           Pair("clamp/Clamp: within", "error"), Pair("clamp", "error")));
}

// Code under test could write what is waited for, or fail as is waited for.
TEST_F(CppSessionTest, WhatIsJudgedByOutputOrFailureAloneIsNotGraded) {
  auto files = BoundsLibrary(kRightClamp);
  files["CMakeLists.txt"] +=
      "add_test(NAME says COMMAND plain_test)\n"
      "set_tests_properties(says PROPERTIES PASS_REGULAR_EXPRESSION .)\n"
      "add_test(NAME fails COMMAND plain_test)\n"
      "set_tests_properties(fails PROPERTIES WILL_FAIL ON)\n";
  const Statuses seen = StatusesOf(RunIn(*Open(TreeOf(files)), {}));
  EXPECT_THAT(seen, Contains(Pair("says", "skipped")));
  EXPECT_THAT(seen, Contains(Pair("fails", "skipped")));
  EXPECT_THAT(seen, Contains(Pair("plain", "passed")));
}

// As Catch2's and doctest's own modules do it: a program is run behind its build to list its cases.
TEST_F(CppSessionTest, ProgramsWhoseCasesAreListedAfterTheBuildAreFoundBeforeIt) {
  auto files = BoundsLibrary(kRightClamp);
  std::string& lists = files["CMakeLists.txt"];
  const std::string told = "add_test(NAME clamp COMMAND clamp_test)\n";
  ASSERT_NE(lists.find(told), std::string::npos) << lists;
  lists.replace(lists.find(told), told.size(),
                "file(WRITE ${CMAKE_BINARY_DIR}/found.cmake \"if(EXISTS "
                "${CMAKE_BINARY_DIR}/clamp_test)\\nadd_test(\\\"Clamp: low\\\" "
                "${CMAKE_BINARY_DIR}/clamp_test low)\\nelse()\\nadd_test(clamp_test_NOT_BUILT-"
                "b858cb2 clamp_test_NOT_BUILT-b858cb2)\\nendif()\\n\")\n"
                "set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "
                "${CMAKE_BINARY_DIR}/found.cmake)\n");
  const auto session = Open(TreeOf(files));
  TestRun run;
  run.files = {"tests/clamp_test.cpp"};
  const TestRunOutput output = RunIn(*session, run);
  const Statuses first = StatusesOf(output);
  EXPECT_THAT(first, Contains(Pair("clamp_test/Clamp: low", "passed"))) << output.log;
  EXPECT_EQ(StatusesOf(RunIn(*session, run)), first);
}

TEST_F(CppSessionTest, WhatCannotBeBuiltHereSaysWhy) {
  const DriverContext context{*host_, {"digest", "base"}, "/nonexistent"};
  v1::RepositorySettings settings;
  const FileTree made = TreeOf({{"Makefile", ""}, {"a.c", ""}});
  EXPECT_THAT(cpp_.Resolve(context, made, 0, settings, {}).status().message(),
              HasSubstr("test_command"));
  settings.set_test_command("make check");
  const auto recipe = cpp_.Resolve(context, made, 0, settings, {});
  ASSERT_TRUE(recipe.ok());
  EXPECT_TRUE(cpp_.Build(context, *recipe, made, settings, {})->empty());
  settings.add_packages("zlib");
  EXPECT_THAT(cpp_.Resolve(context, made, 0, settings, {}).status().message(),
              HasSubstr("no packages"));
}

TEST_F(CppSessionTest, ARealFrameworkAndAGivenCommandRun) {
  auto files = BoundsLibrary(kRightClamp);
  files["CMakeLists.txt"] =
      "cmake_minimum_required(VERSION 3.10)\nproject(bounds CXX)\nenable_testing()\n"
      "find_package(GTest REQUIRED)\nadd_executable(run-tests tests/google_test.cpp "
      "src/clamp.cpp)\n"
      "target_include_directories(run-tests PRIVATE include)\n"
      "target_link_libraries(run-tests GTest::gtest GTest::gtest_main)\n"
      "add_test(NAME unit COMMAND run-tests)\n";
  files["tests/google_test.cpp"] =
      "#include <gtest/gtest.h>\n#include \"bounds/clamp.h\"\nnamespace {\n"
      "class Clamp : public testing::Test {};\n"
      "TEST_F(Clamp, High) { EXPECT_EQ(clamp(9, 2, 3), 3); }\n}\n";
  TestRun run;
  run.files = {"tests/google_test.cpp"};
  const FileTree tree = TreeOf(files);
  Statuses expected = {{"unit/Clamp.High", "passed"}};
  expected.merge(AddSentinels(tree, run.files, 5, run));
  EXPECT_EQ(StatusesOf(RunIn(*Open(tree), run)), expected);

  files["src/clamp.cpp"] = BoundsLibrary(kTrapsAtNine)["src/clamp.cpp"];
  files["tests/google_test.cpp"] +=
      "TEST_F(Clamp, HighAgain) { clamp(9, 1, 2); }\n"
      "TEST_F(Clamp, Low) { EXPECT_EQ(clamp(1, 2, 3), 2); }\n";
  const FileTree crashing = TreeOf(files);
  run.added = {};
  expected = {{"unit/Clamp.High", "failed"},
              {"unit/Clamp.HighAgain", "failed"},
              {"unit/Clamp.Low", "passed"}};
  expected.merge(AddSentinels(crashing, run.files, 5, run));
  EXPECT_EQ(StatusesOf(RunIn(*Open(crashing), run)), expected);

  environment_.set_test_command("make check");
  const FileTree made = TreeOf({{"Makefile", "check:\n\tgcc -o /tmp/t t.c && /tmp/t\n"},
                                {"t.c", "int main(void) { return 0; }\n"}});
  EXPECT_THAT(StatusesOf(RunIn(*Open(made), {})),
              UnorderedElementsAre(Pair("make check", "passed")));
}

}  // namespace
}  // namespace taskmint::environments
