// What the Python driver tells from paths, names and settings alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "environments/repository/python/pytest_command.h"
#include "environments/repository/python/sources.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

TEST(PythonPathsTest, RolesFollowWhatEachFileDoes) {
  const LanguageDriver& python = PythonUnderTest();
  for (const char* path : {"conftest.py",
                           "tests/deep/conftest.py",
                           "pytest.ini",
                           ".pytest.ini",
                           "tox.ini",
                           "setup.cfg",
                           "pyproject.toml",
                           "src/sitecustomize.py",
                           "usercustomize.py",
                           "lib/x.pth",
                           "noxfile.py",
                           "bin/pytest",
                           "a/__pycache__/b.cpython-311.pyc",
                           "x.egg-info/PKG-INFO",
                           "src/y-1.0.dist-info/entry_points.txt",
                           "src/x.DIST-INFO/entry_points.txt",
                           "Z.Egg-Info/PKG-INFO",
                           "src/sitecustomize.cpython-311-x86_64-linux-gnu.so",
                           "usercustomize.abi3.so",
                           "sitecustomize/__init__.py"}) {
    EXPECT_EQ(python.RoleOf(path), PathRole::kSteering) << path;
  }
  for (const char* path : {"tests/data/a.json", "test/x.py", "testing/helper.py", "a/test_b.py",
                           "b_test.py", "src/pkg/tests/fixtures.py"}) {
    EXPECT_EQ(python.RoleOf(path), PathRole::kTest) << path;
  }
  for (const char* path : {"src/a/b.py", "a.py", "lib/fast.pyx", "numpy/testing/asserts.py",
                           "jinja2/tests.py", "contest.py", "latest/x.py", "celery/app/tasks.py",
                           "src/pkg/setup.py", "deploy/fabfile.py"}) {
    EXPECT_EQ(python.RoleOf(path), PathRole::kSource) << path;
  }
  for (const char* path :
       {"README.rst", "docs/conf.py", "setup.py", "tasks.py", "fabfile.py", "a/template.html"}) {
    EXPECT_EQ(python.RoleOf(path), PathRole::kOther) << path;
  }
  EXPECT_TRUE(python.IsTestFile("a/test_b.py"));
  EXPECT_TRUE(python.IsTestFile("b_test.py"));
  EXPECT_FALSE(python.IsTestFile("tests/helper.py"));
  EXPECT_FALSE(python.IsTestFile("tests/test_b.txt"));
  EXPECT_TRUE(python.Detect({"a.py"}));
  EXPECT_TRUE(python.Detect({"main.c", "pyproject.toml"}));
  EXPECT_FALSE(python.Detect({"main.c", "docs/pyproject.toml"}));
}

TEST(PythonPathsTest, WhatWouldShadowTheRunnerIsForeign) {
  const FileTree fix = TreeOf({{"src/attr/__init__.py", ""},
                               {"src/attr/_make.py", ""},
                               {"tests/test_a.py", ""},
                               {"unit/__init__.py", ""},
                               {"unit/inner/__init__.py", ""},
                               {"unit/inner/test_b.py", ""},
                               {"checks/test_c.py", ""},
                               {"conftest.py", "own"},
                               {"types.py", "the project's own, although its name is taken"}});
  FileTree solution = fix;
  const std::vector<std::string> foreign = {"__pycache__/a.cpython-311.pyc",
                                            "_pytest/__init__.py",
                                            "a.pth",
                                            "checks/json.py",
                                            "checks/random/__init__.py",
                                            "json.py",
                                            "pluggy/__init__.py",
                                            "pytest",
                                            "pytest.py",
                                            "src/pytest_cov.py",
                                            "src/sitecustomize.py",
                                            "src/unittest/case.py",
                                            "tests/__init__.py",
                                            "tests/conftest.py",
                                            "tests/os.cpython-311-x86_64-linux-gnu.so",
                                            "x.dist-info/entry_points.txt"};
  const std::vector<std::string> honest = {
      "src/attr/types.py", "src/attr/json.py",   "src/attr/new/random.py", "src/helpers.py",
      "types.py",          "unit/inner/json.py", "docs/json.md",           "tests/test_more.py"};
  for (const auto* paths : {&foreign, &honest}) {
    for (const std::string& path : *paths) EXPECT_TRUE(solution.Set(path, RegularFile("x")).ok());
  }
  EXPECT_EQ(PythonUnderTest().ForeignSteering(solution, fix), foreign);
}

TEST(PythonPathsTest, NodeIdsComeFromClassnameAndFile) {
  const FileTree tree = TreeOf({{"tests/test_a.py", ""},
                                {"tests/base.py", ""},
                                {"tests/v1.2/test_dots.py", ""},
                                {"tests/__init__.py", ""},
                                {"test_root.py", ""},
                                {"docs/guide.rst", ""}});
  const auto names = PythonUnderTest().NamesOfTests(tree);
  const auto id = [&](const char* file, const char* class_name, const char* name) {
    return names->Id(file, class_name, name);
  };
  EXPECT_EQ(id("tests/test_a.py", "tests.test_a", "test_x"), "tests/test_a.py::test_x");
  EXPECT_EQ(id("tests/test_a.py", "tests.test_a.TestB.TestC", "test_x"),
            "tests/test_a.py::TestB::TestC::test_x");
  // Inherited: the file attribute is where the base class stands.
  EXPECT_EQ(id("tests/base.py", "tests.test_a.TestB", "test_x"), "tests/test_a.py::TestB::test_x");
  EXPECT_EQ(id("", "tests.test_a", "test_x[a::b[0].c-\u00e9]"),
            "tests/test_a.py::test_x[a::b[0].c-\u00e9]");
  EXPECT_EQ(id("tests/v1.2/test_dots.py", "tests.v1.2.test_dots.TestD", "t"),
            "tests/v1.2/test_dots.py::TestD::t");
  EXPECT_EQ(id("elsewhere.py", "tests.v1.2.test_dots", "t"), "tests/v1.2/test_dots.py::t");
  EXPECT_EQ(id("test_root.py", "test_root", "t"), "test_root.py::t");
  EXPECT_EQ(id("docs/guide.rst", "docs.guide.rst", "guide.rst"), "docs/guide.rst::guide.rst");
  // Collection errors.
  EXPECT_EQ(id("tests/test_a.py", "", "tests.test_a"), "tests/test_a.py");
  EXPECT_EQ(id("", "", "tests.test_a"), "tests/test_a.py");
  EXPECT_EQ(id("", "", "pytest"), "");
  EXPECT_EQ(id("", "gone.test_a", "t"), "");
}

TEST(PythonPathsTest, HostileClassnamesCostLittle) {
  FileTree tree;
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(tree.Set("tests/v1.2/test_" + std::to_string(i) + ".py", RegularFile("")).ok());
  }
  std::string dotted = "a";
  for (int i = 0; i < 32'000; ++i) dotted += ".a";
  std::string deep = "tests";  // as many components as are taken
  for (int i = 0; i < 62; ++i) deep += ".a";
  const auto begin = std::chrono::steady_clock::now();
  const auto names = PythonUnderTest().NamesOfTests(tree);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(names->Id("", dotted, "t"), "");
    ASSERT_EQ(names->Id("", deep, "t"), "");
    ASSERT_EQ(names->Id("", "", dotted), "");
  }
  // A millisecond each would be too much.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(names->Id("", "tests.v1.2.test_7.TestA", "t"), "tests/v1.2/test_7.py::TestA::t");
}

TEST(PythonPathsTest, OnlyPlainPytestCommandsGoToTheWarmRunner) {
  EXPECT_THAT(ArgumentsOfPytest("pytest"), Optional(IsEmpty()));
  EXPECT_THAT(ArgumentsOfPytest("  python3 -m pytest -k 'not slow' --tb=short"),
              Optional(ElementsAre("-k", "not slow", "--tb=short")));
  EXPECT_THAT(ArgumentsOfPytest("py.test \"a b\" c\\ d"), Optional(ElementsAre("a b", "c d")));
  for (const char* other : {"", "make test", "pytest && echo", "X=1 pytest", "pytest $ARGS",
                            "tox -e py", "pytest > log", "pytest 'open", "python setup.py test"}) {
    EXPECT_EQ(ArgumentsOfPytest(other), std::nullopt) << other;
  }
}

TEST(PythonPathsTest, SourcesComeFromThePackageManagersSettings) {
  const TestFolder home;
  std::filesystem::create_directories(home.path() + "/.config/pip");
  std::filesystem::create_directories(home.path() + "/wheels");
  std::ofstream(home.path() + "/.config/pip/pip.conf")
      << "[global]\nindex-url = https://one.example/simple\n"
         "extra-index-url =\n    https://two.example/simple\n    https://three.example/simple\n"
         "[search]\nindex = https://no.example\n";
  PackageSources sources = ReadPackageSources({}, home.path(), home.path());
  EXPECT_THAT(sources.index_urls,
              ElementsAre("https://one.example/simple", "https://two.example/simple",
                          "https://three.example/simple"));
  EXPECT_TRUE(sources.has_default_index);

  sources = ReadPackageSources({{"UV_DEFAULT_INDEX", "named=https://u:p@four.example/simple"},
                                {"UV_INDEX", "file://" + home.path() + "/wheels"},
                                {"PIP_EXTRA_INDEX_URL", "https://five.example/simple"},
                                {"UV_FIND_LINKS", home.path() + "/wheels," + home.path() + "/no"}},
                               home.path(), home.path());
  EXPECT_THAT(sources.index_urls, testing::Contains("https://u:p@four.example/simple"));
  EXPECT_THAT(sources.index_urls, testing::Contains("file:///index/0"));
  ASSERT_EQ(sources.find_links.size(), 1U);
  ASSERT_EQ(sources.mounts.size(), 2U);
  for (const sandbox::Mount& mount : sources.mounts) EXPECT_FALSE(mount.writable);

  sources = ReadPackageSources({{"PIP_NO_INDEX", "1"}}, home.path(), home.path());
  EXPECT_TRUE(sources.no_index);
  EXPECT_THAT(sources.index_urls, IsEmpty());
}

}  // namespace
}  // namespace taskmint::environments
